# The functions: which are made, what each may do.

mock_provider "aws" {
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:f" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/r" }
  }
}

variables {
  name        = "shop"
  place       = { partition = "aws", region = "eu-central-1", account_id = "123456789012" }
  bucket_name = "shop-archive"
  root        = "nodedb/v1/"
  archive_url = "s3://shop-archive?region=eu-central-1"
  queue_arn   = "arn:aws:sqs:eu-central-1:123456789012:shop-segments"
  dead_arn    = "arn:aws:sqs:eu-central-1:123456789012:shop-dead"
  dead_url    = "https://sqs.eu-central-1.amazonaws.com/123456789012/shop-dead"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  packages    = { index = "tests/fixtures/package.zip", sweep = "tests/fixtures/package.zip", compact = "tests/fixtures/package.zip" }
}

run "all" {
  command = plan

  module {
    source = "./modules/functions"
  }

  assert {
    condition     = alltrue([for f in aws_lambda_function.this : f.runtime == "provided.al2023" && f.handler == "bootstrap" && f.architectures == tolist(["arm64"]) && f.environment[0].variables["NODEDB_ARCHIVE"] == var.archive_url])
    error_message = "functions are arm64 programs that know their archive"
  }

  assert {
    condition     = alltrue([for name, f in aws_lambda_function.this : f.source_code_hash == filebase64sha256("tests/fixtures/package.zip") && aws_cloudwatch_log_group.this[name].name == "/aws/lambda/${f.function_name}" && aws_cloudwatch_log_group.this[name].retention_in_days == 30])
    error_message = "a new package is a new function, and its log does not stay for ever"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.index[0].function_response_types == toset(["ReportBatchItemFailures"]) && aws_lambda_event_source_mapping.index[0].batch_size == 10
    error_message = "one bad message does not fail its batch"
  }

  assert {
    condition     = { for name, s in aws_scheduler_schedule.this : name => s.schedule_expression } == { sweep = "rate(15 minutes)", compact = "cron(30 2 * * ? *)" }
    error_message = "sweep and compact run by schedule, index does not"
  }

  assert {
    condition     = alltrue([for p in values(output.policies_json) : alltrue([for s in jsondecode(p).Statement : s.Effect == "Allow" && !strcontains(jsonencode(s.Action), "*") && !strcontains(jsonencode(s.Action), "Delete\"") && !contains(flatten([s.Resource]), "*")])])
    error_message = "no role has a wild action or resource"
  }

  assert {
    condition     = !anytrue([for p in values(output.policies_json) : strcontains(p, "s3:Delete")])
    error_message = "no function deletes unless compact is told to"
  }

  assert {
    condition     = flatten([for s in jsondecode(output.policies_json["index"]).Statement : s.Resource if contains(flatten([s.Action]), "s3:PutObject")]) == ["arn:aws:s3:::shop-archive/nodedb/v1/*/index/*"]
    error_message = "the index function creates index objects and nothing else"
  }

  assert {
    condition     = alltrue([for p in values(output.policies_json) : !anytrue([for r in flatten([for s in jsondecode(p).Statement : s.Resource if contains(flatten([s.Action]), "s3:PutObject")]) : can(regex("/(wal|epoch|base|obj|gap|keys|pin|prune)/\\*$", r))])])
    error_message = "no function writes history"
  }

  assert {
    condition     = strcontains(output.policies_json["index"], "sqs:ReceiveMessage") && !strcontains(output.policies_json["sweep"], "sqs:") && !strcontains(output.policies_json["compact"], "sqs:")
    error_message = "only index takes messages, the others know no queue"
  }

  assert {
    condition     = flatten([for s in jsondecode(output.policies_json["index"]).Statement : s.Resource if s.Action == "sqs:SendMessage"]) == [var.dead_arn] && aws_lambda_function.this["index"].environment[0].variables["NODEDB_DEAD_QUEUE"] == var.dead_url
    error_message = "index tells the dead queue the reason"
  }

  assert {
    condition     = toset(flatten([for s in jsondecode(aws_iam_role_policy.scheduler[0].policy).Statement : s.Resource])) == toset([for n in ["sweep", "compact"] : "arn:aws:lambda:eu-central-1:123456789012:function:shop-${n}"])
    error_message = "the scheduler starts these two"
  }
}

run "some" {
  command = plan

  module {
    source = "./modules/functions"
  }

  variables {
    packages    = { sweep = "tests/fixtures/package.zip" }
    sweep       = { schedule = "" }
    environment = { sweep = { NODEDB_TEST = "1" } }
    layers      = { sweep = ["arn:aws:lambda:eu-central-1:123456789012:layer:identity:1"] }
    kms_key_arn = null
  }

  assert {
    condition     = keys(aws_lambda_function.this) == ["sweep"] && length(aws_lambda_event_source_mapping.index) == 0 && length(aws_scheduler_schedule.this) == 0 && length(aws_iam_role.scheduler) == 0
    error_message = "what has no package or no schedule is not made"
  }

  assert {
    condition     = aws_lambda_function.this["sweep"].environment[0].variables["NODEDB_TEST"] == "1" && aws_lambda_function.this["sweep"].layers == tolist(["arn:aws:lambda:eu-central-1:123456789012:layer:identity:1"]) && !strcontains(output.policies_json["sweep"], "kms:")
    error_message = "the environment is passed on, and without a key nothing is said of keys"
  }
}

run "compact_deletes" {
  command = plan

  module {
    source = "./modules/functions"
  }

  variables {
    compact = { delete = true }
  }

  assert {
    condition     = toset(flatten([for s in jsondecode(output.policies_json["compact"]).Statement : s.Resource if s.Action == "s3:DeleteObject"])) == toset(["arn:aws:s3:::shop-archive/nodedb/v1/*/wal/*"]) && aws_lambda_function.this["compact"].environment[0].variables["NODEDB_DELETE_SMALL"] == "true"
    error_message = "compact deletes segments that a pack holds, and no more, and is told so"
  }

  assert {
    condition     = !strcontains(join("", values(output.policies_json)), "DeleteObjectVersion")
    error_message = "and never for good"
  }
}
