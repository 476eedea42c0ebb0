# Every refusal of a variable. Those that do not stand in each other's way share a run,
# which fails if any of them is missing.

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
}

variables {
  name        = "shop"
  bucket_name = "shop-archive"
}

run "variables_1" {
  command = plan

  variables {
    name                 = "Shop_1"
    bucket_name          = "shop.archive"
    prefix               = "prod/"
    nodes                = ["shop", "_doctor"]
    encryption           = "none"
    kms_key_arn          = "arn:aws:kms:eu-central-1:123456789012:alias/shop"
    object_lock          = { mode = "FOREVER", days = 1 }
    deleters             = ["pruner"]
    cooling              = { instant_after_days = 30, kinds = ["wal", "epoch"] }
    noncurrent_days      = 0
    abort_multipart_days = 1.5
    event_source         = "sns"
    queue                = { max_receives = 1 }
    packages             = { index = "dist/nothing.zip" }
    architecture         = "amd64"
    index                = { timeout_seconds = 901 }
    sweep                = { schedule = "15m" }
    compact              = { schedule = "daily" }
    temporary_mb         = 100
    environment          = { indexer = {} }
    layers               = { indexer = [] }
    log_retention_days   = 31
    alarms               = { sweep_period_seconds = 90 }
    query                = { timelines = [0] }
  }

  expect_failures = [
    var.name,
    var.bucket_name,
    var.prefix,
    var.nodes,
    var.encryption,
    var.kms_key_arn,
    var.object_lock,
    var.deleters,
    var.cooling,
    var.noncurrent_days,
    var.abort_multipart_days,
    var.event_source,
    var.queue,
    var.packages,
    var.architecture,
    var.index,
    var.sweep,
    var.compact,
    var.temporary_mb,
    var.environment,
    var.layers,
    var.log_retention_days,
    var.alarms,
    var.query,
  ]
}

run "variables_2" {
  command = plan

  variables {
    object_lock = { days = 0 }
    cooling     = { instant_after_days = 30, min_bytes = 1000 }
    queue       = { retention_seconds = 60 }
    index       = { batch_size = 100, batch_window_seconds = 0 }
    alarms      = { emails = ["ops"] }
    query       = { scan_limit_bytes = 1 }
  }

  expect_failures = [
    var.object_lock,
    var.cooling,
    var.queue,
    var.index,
    var.alarms,
    var.query,
  ]
}

run "variables_3" {
  command = plan

  variables {
    object_lock = { mode = "COMPLIANCE", days = 30 }
    cooling     = { instant_after_days = 0 }
    index       = { concurrency = 1 }
  }

  expect_failures = [
    var.object_lock,
    var.cooling,
    var.index,
  ]
}

run "variables_4" {
  command = plan

  variables {
    nodes   = ["shop"]
    cooling = { instant_after_days = 30, deep_after_days = 60 }
  }

  expect_failures = [
    var.cooling,
  ]
}

run "lock_existing" {
  command = plan

  variables {
    create_bucket = false
    encryption    = "sse-s3"
    object_lock   = { days = 30 }
  }

  expect_failures = [output.archive_url]
}

run "existing_without_key" {
  command = plan

  variables {
    create_bucket = false
  }

  expect_failures = [output.archive_url]
}

run "deep_without_nodes" {
  command = plan

  variables {
    cooling = { deep_after_days = 180 }
  }

  expect_failures = [output.archive_url]
}

run "index_without_queue" {
  command = plan

  variables {
    create_queue = false
    packages     = { index = "tests/fixtures/package.zip" }
  }

  expect_failures = [output.archive_url]
}
