# The archive of nodedb nodes on AWS: the bucket and who may do what with it, the
# functions that index, sweep and compact it, what watches them, and what queries
# the index.

data "aws_partition" "this" {}
data "aws_region" "this" {}
data "aws_caller_identity" "this" {}

locals {
  place = {
    partition  = data.aws_partition.this.partition
    region     = data.aws_region.this.region
    account_id = data.aws_caller_identity.this.account_id
  }

  root        = var.prefix == "" ? "nodedb/v1/" : "${var.prefix}/nodedb/v1/"
  archive_url = "s3://${var.bucket_name}${var.prefix == "" ? "" : "/${var.prefix}"}?region=${local.place.region}"

  bucket_created = var.create && var.create_bucket
  kms            = var.encryption == "sse-kms"
  key_created    = local.bucket_created && local.kms && var.kms_key_arn == null
  kms_key_arn    = local.key_created ? module.key[0].arn : local.kms ? var.kms_key_arn : null
}

module "key" {
  source = "./modules/key"
  count  = local.key_created ? 1 : 0

  name  = var.name
  place = local.place
  tags  = var.tags
}

module "bucket" {
  source = "./modules/bucket"
  count  = local.bucket_created ? 1 : 0

  place                = local.place
  bucket_name          = var.bucket_name
  root                 = local.root
  nodes                = var.nodes
  encryption           = var.encryption
  kms_key_arn          = local.kms_key_arn
  object_lock          = var.object_lock
  deleters             = var.deleters
  cooling              = var.cooling
  noncurrent_days      = var.noncurrent_days
  abort_multipart_days = var.abort_multipart_days
  tags                 = var.tags
}

module "policies" {
  source = "./modules/policies"
  count  = var.create && var.create_policies ? 1 : 0

  name            = var.name
  place           = local.place
  bucket_name     = var.bucket_name
  root            = local.root
  nodes           = var.nodes
  kms_key_arn     = local.kms_key_arn
  reader_may_thaw = var.reader_may_thaw
  tags            = var.tags
}
