# Who asks: runs queries in this workgroup, sees this table, reads index objects and no
# others, and keeps results in their bucket.

locals {
  arn = "arn:${var.place.partition}"

  analyst = {
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Query"
        Effect   = "Allow"
        Action   = ["athena:StartQueryExecution", "athena:StopQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup", "athena:ListNamedQueries", "athena:GetNamedQuery"]
        Resource = "${local.arn}:athena:${var.place.region}:${var.place.account_id}:workgroup/${var.name}"
      },
      {
        Sid    = "SeeTable"
        Effect = "Allow"
        Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartition", "glue:GetPartitions"]
        Resource = [
          "${local.arn}:glue:${var.place.region}:${var.place.account_id}:catalog",
          "${local.arn}:glue:${var.place.region}:${var.place.account_id}:database/${local.database}",
          "${local.arn}:glue:${var.place.region}:${var.place.account_id}:table/${local.database}/*",
        ]
      },
      {
        Sid      = "ReadIndex"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.arn}:s3:::${var.bucket_name}/${var.root}*/index/*"
      },
      {
        Sid      = "KeepResults"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = "${local.arn}:s3:::${local.results}/*"
      },
      {
        Sid      = "List"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:GetBucketLocation"]
        Resource = ["${local.arn}:s3:::${var.bucket_name}", "${local.arn}:s3:::${local.results}"]
      },
      ], var.kms_key_arn == null ? [] : [{
        Sid       = "Key"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.place.region}.amazonaws.com" } }
    }])
  }
}

resource "aws_iam_policy" "analyst" {
  name        = "${var.name}-analyst"
  description = "Queries the index of a nodedb archive"
  policy      = jsonencode(local.analyst)
  tags        = var.tags
}
