"""Operations on a deployed Osusume: what its owner does when something went wrong."""
