# A bucket that is made elsewhere: here by a resource beside the module, which has its
# own notifications. The module makes all around it, and says what the bucket's
# policy and notification should be.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

resource "aws_s3_bucket" "theirs" {
  bucket = "example-shop-existing"
}

resource "aws_s3_bucket_versioning" "theirs" {
  bucket = aws_s3_bucket.theirs.id

  versioning_configuration {
    status = "Enabled"
  }
}

module "archive" {
  source = "../.."

  name          = "shop-archive"
  create_bucket = false
  bucket_name   = "example-shop-existing"
  prefix        = "nodedb-archive"
  encryption    = "sse-s3"

  create_queue        = true
  create_notification = false
}

resource "aws_s3_bucket_policy" "theirs" {
  bucket = aws_s3_bucket.theirs.id
  policy = module.archive.bucket_policy_json
}

resource "aws_s3_bucket_notification" "theirs" {
  bucket = aws_s3_bucket.theirs.id

  dynamic "queue" {
    for_each = module.archive.notification_filters

    content {
      queue_arn     = module.archive.queue_arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = queue.value.prefix
      filter_suffix = queue.value.suffix
    }
  }

  depends_on = [module.archive] # S3 tries to send before it agrees
}

output "archive_url" {
  value = module.archive.archive_url
}
