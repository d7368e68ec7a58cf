"""Operations on a deployed Osusume: what its owner does on a day on which something went wrong."""
