"""The prices of AWS in Tokyo, and what of them is free. Only this module knows them."""

from __future__ import annotations

from dataclasses import dataclass

YEN_A_DOLLAR = 155.0
"""2026-11-28, a round figure for the last months' 150 to 158, not a quotation; `--yen` gives another."""

PRICE_LIST = "AWS Price List of ap-northeast-1, as a public repository copied it on 2026-09-23; usage type"
"""The addresses of AWS cannot be reached from where this was written: the search library's copies were read."""

LIST_IN_A_TEST = "AWS Price List of ap-northeast-1, as an undated test of a public repository has it; usage type"
PRICING_PAGE = "a stored copy of AWS's pricing page"
MEMORY = "from memory, not confirmed"


@dataclass(frozen=True, slots=True)
class Price:
    """What one `unit` costs, in dollars; `free` units a month cost nothing, for ever.

    `source` says where the price was read, with its date or usage type, `free_source` the same of what is free.
    """

    unit: str
    dollars: float
    source: str
    free: float = 0.0
    free_source: str = "nothing is free for ever"


PRICES = {
    "Lambda, x86_64": Price(
        "GB-second",
        0.0000166667,
        f"{PRICE_LIST} APN1-Lambda-GB-Second",
        400_000,
        "pages of 2024 and 2026 on Lambda's pricing",
    ),
    "Lambda, arm64": Price(
        "GB-second",
        0.0000133334,
        f"{LIST_IN_A_TEST} APN1-Lambda-GB-Second-ARM",
        400_000,
        "pages of 2024 and 2026 on Lambda's pricing",
    ),
    "Lambda requests": Price(
        "request", 0.20e-6, f"{PRICE_LIST} APN1-Request", 1e6, "pages of 2024 and 2026 on Lambda's pricing"
    ),
    "HTTP API requests": Price(
        "request",
        1.29e-6,
        f"{PRICE_LIST} APN1-ApiGatewayHttpRequest",
        free_source="1 million a month in an account's first 12 months; a stored copy of a whitepaper of AWS",
    ),
    "DynamoDB writes": Price(
        "write unit",
        0.715e-6,
        f"{PRICE_LIST} APN1-WriteRequestUnits",
        free_source="on-demand writes: none; the free 25 units are for provisioned tables",
    ),
    "DynamoDB reads": Price(
        "read unit",
        0.1425e-6,
        f"{PRICE_LIST} APN1-ReadRequestUnits",
        free_source="on-demand reads: none; the free 25 units are for provisioned tables",
    ),
    "DynamoDB storage": Price(
        "GB-month",
        0.285,
        f"{LIST_IN_A_TEST} APN1-TimedStorage-ByteHrs",
        25,
        "the same list's first tier",
    ),
    "DynamoDB point-in-time recovery": Price("GB-month", 0.228, f"{MEMORY}; us-west-2 was read to be 0.20"),
    "S3 writes and lists": Price(
        "request",
        4.7e-6,
        f"{PRICE_LIST} APN1-Requests-Tier1",
        free_source="2,000 a month in an account's first 12 months",
    ),
    "S3 reads": Price(
        "request",
        0.37e-6,
        f"{PRICE_LIST} APN1-Requests-Tier2",
        free_source="20,000 a month in an account's first 12 months",
    ),
    "S3 storage": Price(
        "GB-month",
        0.025,
        f"{PRICE_LIST} APN1-TimedStorage-ByteHrs",
        free_source="5 GB in an account's first 12 months",
    ),
    "ECR storage": Price(
        "GB-month",
        0.10,
        f"{PRICE_LIST} APN1-TimedStorage-ByteHrs",
        free_source="500 MB in an account's first 12 months; three pages of 2025",
    ),
    "Logs, taken in": Price(
        "GB",
        0.76,
        f"{PRICE_LIST} APN1-DataProcessing-Bytes",
        5,
        f"{PRICING_PAGE} of CloudWatch: 5 GB of intake, storage and scans together",
    ),
    "Logs, stored": Price("GB-month", 0.033, "AWS Price List of ap-northeast-1, 2026-08-14; APN1-TimedStorage-ByteHrs"),
    "Alarms": Price(
        "alarm metric-month",
        0.10,
        f"{PRICE_LIST} APN1-CW:AlarmMonitorUsage",
        10,
        f"{PRICING_PAGE} of CloudWatch",
    ),
    "Custom metrics": Price(
        "metric-month",
        0.30,
        f"{PRICE_LIST} APN1-CW:MetricMonitorUsage; prorated by the hours in which points are sent",
        10,
        f"{PRICING_PAGE} of CloudWatch",
    ),
    "Dashboards": Price(
        "dashboard-month",
        3.00,
        "a page on CloudWatch's pricing of 2026-06-13, of us-east-1",
        3,
        f"{PRICING_PAGE} of CloudWatch: three of up to 50 metrics each",
    ),
    "Scheduler": Price(
        "invocation",
        1.25e-6,
        f"{MEMORY}; us-east-1 was read to be 1.00 a million",
        14e6,
        "a page of 2026-03-13",
    ),
    "SQS requests": Price(
        "request", 0.40e-6, f"{PRICE_LIST} APN1-Requests-Tier1", 1e6, "a page on what is free for ever, 2026"
    ),
    "SNS messages": Price("message", 0.50e-6, f"{MEMORY}", 1e6, "a page on what is free for ever, 2026"),
    "KMS requests": Price(
        "request",
        3e-6,
        f"{PRICE_LIST} ap-northeast-1-KMS-Requests; decrypts the parameters, with a key of AWS that costs nothing",
        20_000,
        MEMORY,
    ),
    "Data sent to the internet": Price(
        "GB",
        0.114,
        f"{PRICE_LIST} APN1-DataTransfer-Out-Bytes",
        100,
        "the first tier of all regions, in an undated copy of the list",
    ),
}

FREE_TYPES = {
    "AWS::ApiGatewayV2::Stage": "the requests are billed",
    "AWS::IAM::Role": "IAM costs nothing",
    "AWS::Lambda::EventInvokeConfig": "a setting of a function",
    "AWS::Lambda::LayerVersion": "Lambda stores 75 GB of code for nothing",
    "AWS::Lambda::Permission": "a setting of a function",
    "AWS::SNS::Subscription": "delivery to a function costs nothing, nor do the first 1,000 e-mails a month",
    "AWS::SNS::TopicPolicy": "a setting of a topic",
    "AWS::SQS::QueuePolicy": "a setting of a queue",
}
"""Types of resources that cost nothing by themselves, each with the reason."""

PRICED_TYPES = {
    "AWS::ApiGatewayV2::Api": ["HTTP API requests"],
    "AWS::CloudWatch::Alarm": ["Alarms"],
    "AWS::CloudWatch::Dashboard": ["Dashboards"],
    "AWS::DynamoDB::Table": [
        "DynamoDB writes",
        "DynamoDB reads",
        "DynamoDB storage",
        "DynamoDB point-in-time recovery",
    ],
    "AWS::Lambda::Function": [
        "Lambda, x86_64",
        "Lambda, arm64",
        "Lambda requests",
        "ECR storage",
        "Custom metrics",
        "KMS requests",
        "Data sent to the internet",
    ],
    "AWS::Logs::LogGroup": ["Logs, taken in", "Logs, stored"],
    "AWS::S3::Bucket": ["S3 writes and lists", "S3 reads", "S3 storage"],
    "AWS::SNS::Topic": ["SNS messages"],
    "AWS::SQS::Queue": ["SQS requests"],
    "AWS::Scheduler::Schedule": ["Scheduler"],
}
"""Types of resources with what is billed for them."""
