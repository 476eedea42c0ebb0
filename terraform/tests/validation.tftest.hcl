# Every refusal of a variable, one by one.

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

run "name" {
  command = plan

  variables {
    name = "Shop_1"
  }

  expect_failures = [var.name]
}

run "bucket_name" {
  command = plan

  variables {
    bucket_name = "shop.archive"
  }

  expect_failures = [var.bucket_name]
}

run "prefix" {
  command = plan

  variables {
    prefix = "prod/"
  }

  expect_failures = [var.prefix]
}

run "nodes" {
  command = plan

  variables {
    nodes = ["shop", "_doctor"]
  }

  expect_failures = [var.nodes]
}

run "encryption" {
  command = plan

  variables {
    encryption = "none"
  }

  expect_failures = [var.encryption]
}

run "kms_alias" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:alias/shop"
  }

  expect_failures = [var.kms_key_arn]
}

run "lock_mode" {
  command = plan

  variables {
    object_lock = { mode = "FOREVER", days = 1 }
  }

  expect_failures = [var.object_lock]
}

run "lock_days" {
  command = plan

  variables {
    object_lock = { days = 0 }
  }

  expect_failures = [var.object_lock]
}

run "lock_compliance" {
  command = plan

  variables {
    object_lock = { mode = "COMPLIANCE", days = 30 }
  }

  expect_failures = [var.object_lock]
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

run "deleters" {
  command = plan

  variables {
    deleters = ["pruner"]
  }

  expect_failures = [var.deleters]
}

run "cooling_kinds" {
  command = plan

  variables {
    cooling = { instant_after_days = 30, kinds = ["wal", "epoch"] }
  }

  expect_failures = [var.cooling]
}

run "cooling_small" {
  command = plan

  variables {
    cooling = { instant_after_days = 30, min_bytes = 1000 }
  }

  expect_failures = [var.cooling]
}

run "cooling_days" {
  command = plan

  variables {
    cooling = { instant_after_days = 0 }
  }

  expect_failures = [var.cooling]
}

run "cooling_too_close" {
  command = plan

  variables {
    nodes   = ["shop"]
    cooling = { instant_after_days = 30, deep_after_days = 60 }
  }

  expect_failures = [var.cooling]
}

run "deep_without_nodes" {
  command = plan

  variables {
    cooling = { deep_after_days = 180 }
  }

  expect_failures = [output.archive_url]
}

run "noncurrent" {
  command = plan

  variables {
    noncurrent_days = 0
  }

  expect_failures = [var.noncurrent_days]
}

run "multipart" {
  command = plan

  variables {
    abort_multipart_days = 1.5
  }

  expect_failures = [var.abort_multipart_days]
}

run "index_without_queue" {
  command = plan

  variables {
    create_queue = false
    packages     = { index = "tests/fixtures/package.zip" }
  }

  expect_failures = [output.archive_url]
}

run "event_source" {
  command = plan

  variables {
    event_source = "sns"
  }

  expect_failures = [var.event_source]
}

run "queue_receives" {
  command = plan

  variables {
    queue = { max_receives = 1 }
  }

  expect_failures = [var.queue]
}

run "queue_retention" {
  command = plan

  variables {
    queue = { retention_seconds = 60 }
  }

  expect_failures = [var.queue]
}

run "package" {
  command = plan

  variables {
    packages = { index = "dist/nothing.zip" }
  }

  expect_failures = [var.packages]
}

run "architecture" {
  command = plan

  variables {
    architecture = "amd64"
  }

  expect_failures = [var.architecture]
}

run "index_timeout" {
  command = plan

  variables {
    index = { timeout_seconds = 901 }
  }

  expect_failures = [var.index]
}

run "index_batch" {
  command = plan

  variables {
    index = { batch_size = 100, batch_window_seconds = 0 }
  }

  expect_failures = [var.index]
}

run "index_concurrency" {
  command = plan

  variables {
    index = { concurrency = 1 }
  }

  expect_failures = [var.index]
}

run "sweep_schedule" {
  command = plan

  variables {
    sweep = { schedule = "15m" }
  }

  expect_failures = [var.sweep]
}

run "compact_schedule" {
  command = plan

  variables {
    compact = { schedule = "daily" }
  }

  expect_failures = [var.compact]
}

run "temporary" {
  command = plan

  variables {
    temporary_mb = 100
  }

  expect_failures = [var.temporary_mb]
}

run "environment" {
  command = plan

  variables {
    environment = { indexer = {} }
  }

  expect_failures = [var.environment]
}

run "log_retention" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "alarm_period" {
  command = plan

  variables {
    alarms = { sweep_period_seconds = 90 }
  }

  expect_failures = [var.alarms]
}

run "alarm_address" {
  command = plan

  variables {
    alarms = { emails = ["ops"] }
  }

  expect_failures = [var.alarms]
}

run "query_timelines" {
  command = plan

  variables {
    query = { timelines = [0] }
  }

  expect_failures = [var.query]
}

run "query_limit" {
  command = plan

  variables {
    query = { scan_limit_bytes = 1 }
  }

  expect_failures = [var.query]
}
