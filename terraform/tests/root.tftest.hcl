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
    condition     = strcontains(module.policies[0].writer_json["*"], output.kms_key_arn) && strcontains(module.bucket[0].policy_json, output.kms_key_arn)
    error_message = "writers may use the key, and the bucket takes no other"
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
    condition     = strcontains(module.policies[0].writer_json["shop"], "\"arn:aws:s3:::shop-archive/prod/db/nodedb/v1/shop/*\"") && strcontains(module.bucket[0].policy_json, "shop-archive/prod/db/nodedb/v1/*")
    error_message = "policies are about what is below the prefix"
  }

  assert {
    condition     = length(module.key) == 0 && output.kms_key_arn == null
    error_message = "sse-s3 needs no key"
  }
}

run "nothing" {
  command = plan

  variables {
    create = false
  }

  assert {
    condition     = length(module.key) + length(module.bucket) + length(module.policies) == 0
    error_message = "create = false creates nothing"
  }

  assert {
    condition     = output.writer_policy_arns == {} && output.reader_policy_arn == null
    error_message = "and prints nothing that is not there"
  }
}
