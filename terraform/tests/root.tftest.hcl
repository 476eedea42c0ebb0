# The composition: what is created by default, by switches, and what is printed.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:q", url = "https://sqs.eu-central-1.amazonaws.com/123456789012/q" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:f" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/r" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/p" }
  }
}

variables {
  name        = "shop"
  bucket_name = "shop-archive"
}

run "defaults" {
  assert {
    condition     = output.archive_url == "s3://shop-archive?region=eu-central-1"
    error_message = "the URL is what --archive takes"
  }

  assert {
    condition     = output.kms_key_arn == "arn:aws:kms:eu-central-1:123456789012:key/k"
    error_message = "a key is created"
  }

  assert {
    condition     = strcontains(module.policies[0].writer_json["*"], output.kms_key_arn) && strcontains(output.bucket_policy_json, output.kms_key_arn)
    error_message = "writers may use the key, and the bucket takes no other"
  }

  assert {
    condition     = module.observability[0].metric_dimensions["Archive"] == "shop-archive"
    error_message = "without a prefix the bucket names the archive"
  }

  assert {
    condition     = keys(output.writer_policy_arns) == ["*"]
    error_message = "one writer policy for all"
  }
}

run "prefix" {
  command = plan

  variables {
    prefix     = "prod/db"
    nodes      = ["shop"]
    encryption = "sse-s3"
  }

  assert {
    condition     = output.archive_url == "s3://shop-archive/prod/db?region=eu-central-1"
    error_message = "the prefix is the path of the URL"
  }

  assert {
    condition     = strcontains(module.policies[0].writer_json["shop"], "\"arn:aws:s3:::shop-archive/prod/db/nodedb/v1/shop/*\"") && strcontains(output.bucket_policy_json, "shop-archive/prod/db/nodedb/v1/*")
    error_message = "policies are about what is below the prefix"
  }

  assert {
    condition     = length(module.key) == 0 && output.kms_key_arn == null
    error_message = "sse-s3 needs no key"
  }

  # The functions take the name from the URL: bucket and path.
  assert {
    condition     = module.observability[0].metric_dimensions == tomap({ Function = "sweep", Archive = "shop-archive/prod/db" })
    error_message = "alarms look at the metrics of this archive, and of no other"
  }
}

run "no_functions" {
  command = plan

  assert {
    condition     = length(module.queue) == 0 && length(output.alarm_names) == 0 && output.dashboard_name == null
    error_message = "without functions there is no queue to fill, and nothing to watch"
  }
}

run "nothing" {
  command = plan

  variables {
    create = false
  }

  assert {
    condition     = length(module.key) + length(module.bucket) + length(module.policies) + length(module.queue) + length(module.functions) + length(module.observability) + length(module.query) == 0
    error_message = "create = false creates nothing"
  }

  assert {
    condition     = output.writer_policy_arns == {} && output.reader_policy_arn == null
    error_message = "and prints nothing that is not there"
  }
}

run "all" {
  variables {
    nodes        = ["shop"]
    create_query = true
    deleters     = ["arn:aws:iam::123456789012:role/pruner"]
    compact      = { delete = true }
    index        = { timeout_seconds = 100, batch_window_seconds = 20 }
    packages     = { index = "tests/fixtures/package.zip", sweep = "tests/fixtures/package.zip", compact = "tests/fixtures/package.zip" }
  }

  assert {
    condition     = keys(output.function_names) == ["compact", "index", "sweep"] && output.function_names["index"] == "shop-index"
    error_message = "each package is a function"
  }

  assert {
    condition     = contains(output.alarm_names, "shop-index-errors") && contains(output.alarm_names, "shop-lag") && contains(output.alarm_names, "shop-dead")
    error_message = "and is watched"
  }

  assert {
    condition     = strcontains(module.functions[0].policies_json["index"], output.queue_arn) && strcontains(module.functions[0].policies_json["index"], output.kms_key_arn)
    error_message = "the index function reads its queue and its bucket"
  }

  assert {
    condition     = module.queue[0].visibility_timeout_seconds >= 6 * 100 + 20
    error_message = "a message is not given out again while it is handled"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.bucket_policy_json).Statement :
    try(s.Condition.ArnNotLike["aws:PrincipalArn"] == ["arn:aws:iam::123456789012:role/pruner", "arn:aws:iam::123456789012:role/shop-compact"], false)])
    error_message = "a function that may delete is one of the deleters"
  }

  assert {
    condition     = output.athena_workgroup == "shop" && output.glue_database == "shop"
    error_message = "the index can be queried"
  }
}

run "idle_nodes" {
  command = plan

  variables {
    alarms   = { lag_seconds = 0 }
    packages = { sweep = "tests/fixtures/package.zip" }
  }

  assert {
    condition     = !contains(output.alarm_names, "shop-lag") && contains(output.alarm_names, "shop-gaps") && length(module.query) == 0
    error_message = "no alarm of lag where it is not wanted, no table unless asked for"
  }
}

run "existing_bucket" {
  command = plan

  variables {
    create_bucket = false
    encryption    = "sse-s3"
    event_source  = "eventbridge"
    create_queue  = true
    deleters      = ["arn:aws:iam::123456789012:role/pruner"]
  }

  assert {
    condition     = length(module.bucket) + length(module.key) == 0 && length(module.policies) + length(module.queue) == 2
    error_message = "the bucket is left as it is, all around it is made"
  }

  assert {
    condition     = strcontains(output.bucket_policy_json, "CreateOnly") && strcontains(output.bucket_policy_json, "role/pruner")
    error_message = "what its policy should be is printed"
  }
}
