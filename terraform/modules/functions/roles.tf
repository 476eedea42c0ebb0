locals {
  bucket_arn = "arn:${var.place.partition}:s3:::${var.bucket_name}"
  object     = "${local.bucket_arn}/${var.root}"

  reads = {
    index   = ["${local.object}*/wal/*", "${local.object}*/index/*"]
    sweep   = ["${local.object}*"]
    compact = ["${local.object}*/wal/*", "${local.object}*/pack/*", "${local.object}*/index/*", "${local.object}*/epoch/*", "${local.object}*/keys/*"]
  }

  creates = {
    index   = ["${local.object}*/index/*"]
    sweep   = [for kind in ["index", "catalog", "verify", "proof"] : "${local.object}*/${kind}/*"]
    compact = [for kind in ["pack", "index"] : "${local.object}*/${kind}/*"]
  }

  deletes = {
    index   = []
    sweep   = []
    compact = var.compact.delete ? ["${local.object}*/wal/*"] : []
  }

  sends = {
    index   = var.dead_arn == null ? [] : [var.dead_arn] # with a reason
    sweep   = []
    compact = []
  }

  roles = { for name in keys(local.functions) : name => {
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = local.reads[name]
      },
      {
        Sid      = "Create"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = local.creates[name]
      },
      # IfExists: a request for one object names no beginning, and what is absent must
      # be told as absent.
      {
        Sid       = "List"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.bucket_arn
        Condition = { StringLikeIfExists = { "s3:prefix" = ["${var.root}*"] } }
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${var.place.partition}:logs:${var.place.region}:${var.place.account_id}:log-group:/aws/lambda/${var.name}-${name}:*"
      },
      ], length(local.deletes[name]) == 0 ? [] : [{
        Sid      = "DeleteWhatIsMerged"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = local.deletes[name]
        }], length(local.sends[name]) == 0 ? [] : [{
        Sid      = "Send"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = local.sends[name]
        }], name != "index" || var.queue_arn == null ? [] : [{
        Sid      = "Receive"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
        Resource = var.queue_arn
        }], var.kms_key_arn == null ? [] : [{
        Sid       = "Key"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = var.kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.place.region}.amazonaws.com" } }
        }], var.identity_kms_key_arn == null ? [] : [{
        Sid      = "UnwrapIdentity"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.identity_kms_key_arn
    }])
  } }
}

resource "aws_iam_role" "function" {
  for_each = local.functions
  name     = "${var.name}-${each.key}"
  tags     = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions
  name     = each.key
  role     = aws_iam_role.function[each.key].id
  policy   = jsonencode(local.roles[each.key])
}

resource "aws_iam_role" "scheduler" {
  count = length(local.schedules) > 0 ? 1 : 0
  name  = "${var.name}-scheduler"
  tags  = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.place.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  count = length(local.schedules) > 0 ? 1 : 0
  name  = "invoke"
  role  = aws_iam_role.scheduler[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = [for name in keys(local.schedules) : "arn:${var.place.partition}:lambda:${var.place.region}:${var.place.account_id}:function:${var.name}-${name}"]
    }]
  })
}
