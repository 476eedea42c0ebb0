# The bucket: what is set, where objects cool, what is locked.

mock_provider "aws" {}

variables {
  bucket_name = "shop-archive"
  root        = "nodedb/v1/"
  policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
}

run "defaults" {
  module {
    source = "./modules/bucket"
  }

  assert {
    condition     = aws_s3_bucket_policy.this.policy == var.policy_json
    error_message = "the bucket has the policy that it is given"
  }

  assert {
    condition = alltrue([aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
    aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets])
    error_message = "all public access must be blocked"
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled" && aws_s3_bucket.this.force_destroy == false
    error_message = "what is deleted can be taken back, and a full bucket is not destroyed"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    error_message = "the bucket encrypts with the key, and asks for it once for many objects"
  }

  assert {
    condition     = length(aws_s3_bucket_object_lock_configuration.this) == 0 && aws_s3_bucket.this.object_lock_enabled == false
    error_message = "no lock unless asked for"
  }

  assert {
    condition     = [for r in aws_s3_bucket_lifecycle_configuration.this.rule : r.id] == ["abort-multipart", "expire-noncurrent"]
    error_message = "nothing cools unless asked for"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7 && aws_s3_bucket_lifecycle_configuration.this.rule[1].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "forgotten parts go after 7 days, hidden versions after 30"
  }

  assert {
    condition     = alltrue([for r in aws_s3_bucket_lifecycle_configuration.this.rule : alltrue([for e in r.expiration : e.days == null || e.days == 0])])
    error_message = "no rule may expire a current object: retention is prune's"
  }
}

run "sse_s3" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    encryption  = "sse-s3"
    kms_key_arn = null
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "sse-s3 is AES256"
  }
}

run "lock" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    object_lock = { mode = "GOVERNANCE", days = 30 }
  }

  assert {
    condition     = aws_s3_bucket.this.object_lock_enabled && aws_s3_bucket_object_lock_configuration.this[0].rule[0].default_retention[0].mode == "GOVERNANCE" && aws_s3_bucket_object_lock_configuration.this[0].rule[0].default_retention[0].days == 30
    error_message = "the lock is on, with its default retention"
  }
}

run "cooling_by_kind" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    nodes   = ["shop", "till"]
    cooling = { instant_after_days = 30, deep_after_days = 180, kinds = ["wal", "obj"] }
  }

  assert {
    condition = output.cooling_rules == tomap({
      "cool-shop-obj" = "nodedb/v1/shop/obj/"
      "cool-shop-wal" = "nodedb/v1/shop/wal/"
      "cool-till-obj" = "nodedb/v1/till/obj/"
      "cool-till-wal" = "nodedb/v1/till/wal/"
    })
    error_message = "one rule for each node and kind"
  }

  assert {
    condition     = alltrue([for r in slice(aws_s3_bucket_lifecycle_configuration.this.rule, 2, 6) : r.filter[0].and[0].object_size_greater_than == 131072 && { for t in r.transition : t.storage_class => t.days } == { GLACIER_IR = 30, DEEP_ARCHIVE = 180 }])
    error_message = "large objects only, first to Instant Retrieval, then to Deep Archive"
  }
}

run "cooling_of_all" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    cooling = { instant_after_days = 30 }
  }

  assert {
    condition     = output.cooling_rules == tomap({ cool = "nodedb/v1/" }) && { for t in aws_s3_bucket_lifecycle_configuration.this.rule[2].transition : t.storage_class => t.days } == { GLACIER_IR = 30 }
    error_message = "without nodes one rule, to the class that is read at once"
  }
}

run "too_many_rules" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    nodes   = [for i in range(331) : "n${i}"]
    cooling = { instant_after_days = 30 }
  }

  expect_failures = [aws_s3_bucket_lifecycle_configuration.this]
}
