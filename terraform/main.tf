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

  root = var.prefix == "" ? "nodedb/v1/" : "${var.prefix}/nodedb/v1/"
  # What the functions call the archive in their metrics.
  archive_name = var.prefix == "" ? var.bucket_name : "${var.bucket_name}/${var.prefix}"
  archive_url  = "s3://${var.bucket_name}${var.prefix == "" ? "" : "/${var.prefix}"}?region=${local.place.region}"

  # Where deleters are named, a compact function that may delete is one of them.
  compact_deletes = var.compact.delete && contains(keys(local.functions), "compact")
  deleters = length(var.deleters) == 0 || !local.compact_deletes ? var.deleters : concat(var.deleters,
  ["arn:${local.place.partition}:iam::${local.place.account_id}:role/${var.name}-compact"])

  bucket_created = var.create && var.create_bucket
  functions      = { for name, path in var.packages : name => "${var.name}-${name}" if path != null && var.create && var.create_functions }
  queue_created  = var.create && coalesce(var.create_queue, contains(keys(local.functions), "index"))
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

# For a bucket that is made elsewhere the policy is printed only.
module "guard" {
  source = "./modules/guard"

  place       = local.place
  bucket_name = var.bucket_name
  root        = local.root
  encryption  = var.encryption
  kms_key_arn = local.kms_key_arn
  deleters    = local.deleters
}

module "bucket" {
  source = "./modules/bucket"
  count  = local.bucket_created ? 1 : 0

  bucket_name          = var.bucket_name
  policy_json          = module.guard.json
  root                 = local.root
  nodes                = var.nodes
  encryption           = var.encryption
  kms_key_arn          = local.kms_key_arn
  object_lock          = var.object_lock
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

module "queue" {
  source = "./modules/queue"
  count  = local.queue_created ? 1 : 0

  name                       = var.name
  place                      = local.place
  bucket_name                = var.bucket_name
  root                       = local.root
  nodes                      = var.nodes
  event_source               = var.event_source
  create_notification        = var.create_notification
  visibility_timeout_seconds = 6 * var.index.timeout_seconds + var.index.batch_window_seconds
  max_receives               = var.queue.max_receives
  retention_seconds          = var.queue.retention_seconds
  tags                       = var.tags

  depends_on = [module.bucket]
}

module "functions" {
  source = "./modules/functions"
  count  = var.create && var.create_functions ? 1 : 0

  name                 = var.name
  place                = local.place
  bucket_name          = var.bucket_name
  root                 = local.root
  archive_url          = local.archive_url
  packages             = var.packages
  architecture         = var.architecture
  index                = var.index
  sweep                = var.sweep
  compact              = var.compact
  temporary_mb         = var.temporary_mb
  environment          = var.environment
  layers               = var.layers
  queue_arn            = local.queue_created ? module.queue[0].arn : null
  dead_arn             = local.queue_created ? module.queue[0].dead_arn : null
  dead_url             = local.queue_created ? module.queue[0].dead_url : null
  kms_key_arn          = local.kms_key_arn
  identity_kms_key_arn = var.identity_kms_key_arn
  log_retention_days   = var.log_retention_days
  tags                 = var.tags
}

module "observability" {
  source = "./modules/observability"
  count  = var.create && var.create_alarms ? 1 : 0

  name                 = var.name
  place                = local.place
  metric_dimensions    = { Function = "sweep", Archive = local.archive_name }
  functions            = local.functions
  queue_name           = local.queue_created ? module.queue[0].name : null
  dead_name            = local.queue_created ? module.queue[0].dead_name : null
  queue_age_seconds    = var.alarms.queue_age_seconds
  lag_seconds          = var.alarms.lag_seconds
  unindexed            = var.alarms.unindexed
  sweep_period_seconds = var.alarms.sweep_period_seconds
  create_dashboard     = length(local.functions) > 0
  alarm_topic_arns     = var.alarms.topic_arns
  alarm_emails         = var.alarms.emails
  tags                 = var.tags
}

module "query" {
  source = "./modules/query"
  count  = var.create && var.create_query ? 1 : 0

  name             = var.name
  place            = local.place
  bucket_name      = var.bucket_name
  root             = local.root
  nodes            = var.nodes
  timelines        = var.query.timelines
  kms_key_arn      = local.kms_key_arn
  results_days     = var.query.results_days
  scan_limit_bytes = var.query.scan_limit_bytes
  tags             = var.tags
}
