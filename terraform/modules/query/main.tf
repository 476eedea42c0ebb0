# The index as a table. Its folders are computed from a query's conditions
# (partition projection): no crawler runs, and nothing has to be told of new files.

locals {
  database = replace(var.name, "-", "_")
  results  = "${trimsuffix(substr(var.bucket_name, 0, 57), "-")}-query" # 63 characters at most

  # As in the index files, in their order.
  columns = [
    ["tenant", "bigint", "tenant of the key"],
    ["key", "binary", "the key"],
    ["lsn", "bigint", "number of the record in the log"],
    ["part", "int", "which change of its record, from 0"],
    ["time", "timestamp", "of the record, UTC"],
    ["timeline", "bigint", "history it belongs to"],
    ["epoch", "bigint", "incarnation of the writer"],
    ["vshard", "int", "hash slot of the key"],
    ["type", "int", "type of the record, as in the log"],
    ["op", "string", "put, del or expire"],
    ["value_size", "bigint", "bytes of the value"],
    ["value_sha256", "binary", "SHA-256 of the value; null unless put"],
    ["expires", "timestamp", "when the value expires, UTC; null: never"],
    ["offset", "bigint", "of the record's frame in the segment before compression"],
  ]

  # A list makes a query over all possible; otherwise a query names one.
  projection = merge(
    { "projection.enabled" = "true" },
    length(var.nodes) == 0 ? { "projection.node.type" = "injected" } : {
      "projection.node.type"                          = "enum"
      "projection.node.values"                        = join(",", sort(var.nodes))
    },
    length(var.timelines) == 0 ? { "projection.timeline_hex.type" = "injected" } : {
      "projection.timeline_hex.type"                              = "enum"
      "projection.timeline_hex.values"                            = join(",", [for t in sort([for n in var.timelines : format("%08x", n)]) : t])
    },
    { "storage.location.template" = "s3://${var.bucket_name}/${var.root}$${node}/index/$${timeline_hex}/" },
  )
}

resource "aws_glue_catalog_database" "this" {
  name        = local.database
  description = "Index of the nodedb archive ${var.name}"
  tags        = var.tags
}

resource "aws_glue_catalog_table" "records" {
  name          = "records"
  description   = "Every change in the archived log; timeline_hex is the timeline in 8 hex digits, as in names"
  database_name = aws_glue_catalog_database.this.name
  table_type    = "EXTERNAL_TABLE"
  parameters    = merge({ EXTERNAL = "TRUE", classification = "parquet" }, local.projection)

  partition_keys {
    name = "node"
    type = "string"
  }

  partition_keys {
    name = "timeline_hex"
    type = "string"
  }

  storage_descriptor {
    location      = "s3://${var.bucket_name}/${var.root}"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = local.columns

      content {
        name    = columns.value[0]
        type    = columns.value[1]
        comment = columns.value[2]
      }
    }
  }
}

# What queries answer is no history: it has a bucket of its own, and does not stay.
resource "aws_s3_bucket" "results" {
  bucket        = local.results
  force_destroy = true
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "results" {
  bucket                  = aws_s3_bucket.results.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "results" {
  bucket = aws_s3_bucket.results.id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "results" {
  bucket = aws_s3_bucket.results.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.results_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "results" {
  bucket = aws_s3_bucket.results.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyEncryptedConnections"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:${var.place.partition}:s3:::${local.results}", "arn:${var.place.partition}:s3:::${local.results}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.results]
}

resource "aws_athena_workgroup" "this" {
  name          = var.name
  description   = "Queries of the nodedb archive ${var.name}"
  force_destroy = true
  tags          = var.tags

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.scan_limit_bytes

    result_configuration {
      output_location = "s3://${local.results}/"

      encryption_configuration {
        encryption_option = var.kms_key_arn == null ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.kms_key_arn
      }
    }
  }

  depends_on = [aws_s3_bucket.results]
}

resource "aws_athena_named_query" "key" {
  name        = "${var.name}: versions of a key"
  description = "Who changed this key, and when"
  workgroup   = aws_athena_workgroup.this.name
  database    = aws_glue_catalog_database.this.name
  query       = <<-SQL
    SELECT lsn, time, op, value_size, expires, lower(to_hex(value_sha256)) AS sha256
    FROM records
    WHERE node = 'NODE' AND timeline_hex = '00000001' AND tenant = 0 AND key = to_utf8('KEY')
    ORDER BY lsn, part
  SQL
}

resource "aws_athena_named_query" "busiest" {
  name        = "${var.name}: busiest keys of a day"
  description = "Which keys were changed most"
  workgroup   = aws_athena_workgroup.this.name
  database    = aws_glue_catalog_database.this.name
  query       = <<-SQL
    SELECT from_utf8(key) AS key, count(*) AS changes, sum(value_size) AS bytes
    FROM records
    WHERE node = 'NODE' AND timeline_hex = '00000001'
      AND time >= TIMESTAMP '2026-01-01 00:00:00' AND time < TIMESTAMP '2026-01-02 00:00:00'
    GROUP BY key
    ORDER BY changes DESC
    LIMIT 100
  SQL
}
