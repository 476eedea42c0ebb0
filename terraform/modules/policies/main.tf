# Who may do what with an archive: a node writes and cannot delete or overwrite, a
# reader restores, a pruner deletes what retention finds unneeded.

locals {
  bucket_arn = "arn:${var.place.partition}:s3:::${var.bucket_name}"

  # Without nodes one writer policy is good for all of the archive.
  writers = length(var.nodes) == 0 ? { "*" = "*" } : { for node in var.nodes : node => node }

  # Listing is bounded to what begins so. IfExists, because a request for one object
  # names no beginning, and without the right to list S3 answers "denied" for what is
  # absent: the archive must tell the two apart.
  list = { for scope, beginnings in merge(
    { for node, pattern in local.writers : node => ["${var.root}${pattern}/*", "${var.root}_doctor/*", var.root] },
    { reader = ["${var.root}*"] },
    ) : scope => {
    Sid       = "List"
    Effect    = "Allow"
    Action    = "s3:ListBucket"
    Resource  = local.bucket_arn
    Condition = { StringLikeIfExists = { "s3:prefix" = beginnings } }
  } }

  # What `nodedb archive doctor` reads of the bucket.
  settings = {
    Sid      = "SeeSettings"
    Effect   = "Allow"
    Action   = ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration"]
    Resource = local.bucket_arn
  }

  key_use = var.kms_key_arn == null ? [] : [{
    Sid       = "KeyForWriting"
    Effect    = "Allow"
    Action    = ["kms:GenerateDataKey", "kms:Decrypt"] # parts of an upload are read back by S3
    Resource  = var.kms_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "s3.${var.place.region}.amazonaws.com" } }
  }]

  key_read = [for s in local.key_use : merge(s, { Sid = "KeyForReading", Action = ["kms:Decrypt"] })]

  # What undoes the promises of the bucket is denied, whatever else is attached.
  undo = [
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
  ]

  no_overwrite = {
    Sid      = "CreateOnly"
    Effect   = "Deny"
    Action   = "s3:PutObject"
    Resource = "${local.bucket_arn}/${var.root}*"
    Condition = {
      Null = { "s3:if-none-match" = "true" }
      Bool = { "s3:ObjectCreationOperation" = "true" }
    }
  }

  writer = { for node, pattern in local.writers : node => {
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "CreateAndRead"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = ["${local.bucket_arn}/${var.root}${pattern}/*", "${local.bucket_arn}/${var.root}_doctor/*"]
      },
      local.list[node],
      local.settings,
      local.no_overwrite,
      {
        Sid      = "NeverDelete"
        Effect   = "Deny"
        Action   = concat(["s3:DeleteObject"], local.undo)
        Resource = [local.bucket_arn, "${local.bucket_arn}/*"]
      },
    ], local.key_use)
  } }

  reader = {
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = concat(["s3:GetObject", "s3:GetObjectVersion"], var.reader_may_thaw ? ["s3:RestoreObject"] : [])
        Resource = "${local.bucket_arn}/${var.root}*"
      },
      local.list["reader"],
      local.settings,
    ], local.key_read)
  }

  # Marks and packs are created, never changed; deletions hide a version, so they can
  # be taken back until the bucket's lifecycle ends it. Who wrote and who lost what
  # (epoch, gap, keys, proof, prune) is never deleted.
  pruner = {
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arn}/${var.root}*"
      },
      {
        Sid      = "CreateMarks"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = [for kind in ["prune", "pin", "pack", "verify"] : "${local.bucket_arn}/${var.root}*/${kind}/*"]
      },
      {
        Sid      = "Delete"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = [for kind in ["wal", "pack", "base", "obj", "begun", "pin", "index", "catalog", "verify"] : "${local.bucket_arn}/${var.root}*/${kind}/*"]
      },
      local.list["reader"],
      local.settings,
      local.no_overwrite,
      {
        Sid      = "NeverForGood"
        Effect   = "Deny"
        Action   = local.undo
        Resource = [local.bucket_arn, "${local.bucket_arn}/*"]
      },
    ], local.key_use)
  }
}

resource "aws_iam_policy" "writer" {
  for_each    = local.writers
  name        = each.key == "*" ? "${var.name}-writer" : "${var.name}-writer-${each.key}"
  description = "A nodedb node: creates and reads, cannot delete or overwrite"
  policy      = jsonencode(local.writer[each.key])
  tags        = var.tags
}

resource "aws_iam_policy" "reader" {
  name        = "${var.name}-reader"
  description = "Restores from a nodedb archive"
  policy      = jsonencode(local.reader)
  tags        = var.tags
}

resource "aws_iam_policy" "pruner" {
  name        = "${var.name}-pruner"
  description = "Deletes from a nodedb archive what retention finds unneeded"
  policy      = jsonencode(local.pruner)
  tags        = var.tags
}
