# Lifecycle rules select by the beginning of a name, and a node's id stands before
# the kind of an object. So with nodes given there is one rule for each node and
# kind, and without one rule for all of the archive, which may then only go where
# it stays readable at once. Nothing current ever expires here: retention is
# `nodedb archive prune`, which knows what a restore needs.

locals {
  cools = var.cooling.instant_after_days != null || var.cooling.deep_after_days != null

  cooled = !local.cools ? {} : length(var.nodes) == 0 ? { "cool" = var.root } : {
    for pair in setproduct(sort(var.nodes), sort(var.cooling.kinds)) :
    "cool-${pair[0]}-${pair[1]}" => "${var.root}${pair[0]}/${pair[1]}/"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket                                 = aws_s3_bucket.this.id
  transition_default_minimum_object_size = "all_storage_classes_128K"

  rule {
    id     = "abort-multipart"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_multipart_days
    }
  }

  rule {
    id     = "expire-noncurrent"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    for_each = local.cooled

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        and {
          prefix                   = rule.value
          object_size_greater_than = var.cooling.min_bytes
        }
      }

      dynamic "transition" {
        for_each = var.cooling.instant_after_days == null ? [] : [var.cooling.instant_after_days]

        content {
          days          = transition.value
          storage_class = "GLACIER_IR"
        }
      }

      dynamic "transition" {
        for_each = var.cooling.deep_after_days == null ? [] : [var.cooling.deep_after_days]

        content {
          days          = transition.value
          storage_class = "DEEP_ARCHIVE"
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.cooled) <= 990
      error_message = "A bucket takes 1,000 lifecycle rules, and ${length(var.nodes)} nodes with ${length(var.cooling.kinds)} kinds need ${length(local.cooled)}. Name fewer kinds, or leave nodes empty: then one rule cools all of the archive to Glacier Instant Retrieval."
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
