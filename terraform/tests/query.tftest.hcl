# The index as a table.

mock_provider "aws" {}

variables {
  name        = "shop-archive"
  place       = { partition = "aws", region = "eu-central-1", account_id = "123456789012" }
  bucket_name = "example"
  root        = "prod/nodedb/v1/"
}

run "one_node_a_query" {
  command = plan

  module {
    source = "./modules/query"
  }

  assert {
    condition     = aws_glue_catalog_database.this.name == "shop_archive" && aws_glue_catalog_table.records.name == "records"
    error_message = "the names need no quotes in SQL"
  }

  assert {
    condition     = aws_glue_catalog_table.records.parameters["storage.location.template"] == "s3://example/prod/nodedb/v1/$${node}/index/$${timeline_hex}/"
    error_message = "folders are computed from node and timeline"
  }

  assert {
    condition     = aws_glue_catalog_table.records.parameters["projection.enabled"] == "true" && aws_glue_catalog_table.records.parameters["projection.node.type"] == "injected" && aws_glue_catalog_table.records.parameters["projection.timeline_hex.type"] == "injected"
    error_message = "without lists a query names both"
  }

  assert {
    condition = jsonencode([for c in aws_glue_catalog_table.records.storage_descriptor[0].columns : [c.name, c.type]]) == jsonencode([
      ["tenant", "bigint"], ["key", "binary"], ["lsn", "bigint"], ["part", "int"], ["time", "timestamp"], ["timeline", "bigint"], ["epoch", "bigint"], ["vshard", "int"],
    ["type", "int"], ["op", "string"], ["value_size", "bigint"], ["value_sha256", "binary"], ["expires", "timestamp"], ["offset", "bigint"]])
    error_message = "columns are those of the index files"
  }

  assert {
    condition     = length(setintersection(aws_glue_catalog_table.records.partition_keys[*].name, aws_glue_catalog_table.records.storage_descriptor[0].columns[*].name)) == 0
    error_message = "Athena refuses a folder that has the name of a column"
  }

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].enforce_workgroup_configuration && aws_athena_workgroup.this.configuration[0].bytes_scanned_cutoff_per_query == 10737418240 && aws_athena_workgroup.this.configuration[0].result_configuration[0].output_location == "s3://example-query/"
    error_message = "a query's cost is bounded, and its results are kept apart from the history"
  }

  assert {
    condition     = alltrue([for q in [aws_athena_named_query.key.query, aws_athena_named_query.busiest.query] : strcontains(q, "node = ") && strcontains(q, "timeline_hex = ")])
    error_message = "the queries that come along name node and timeline"
  }
}

run "analyst" {
  command = plan

  module {
    source = "./modules/query"
  }

  assert {
    condition     = toset(flatten([for s in jsondecode(output.analyst_json).Statement : s.Resource if contains(flatten([s.Action]), "s3:GetObject")])) == toset(["arn:aws:s3:::example/prod/nodedb/v1/*/index/*", "arn:aws:s3:::example-query/*"])
    error_message = "who queries reads index objects and results, no segments"
  }

  assert {
    condition     = toset(flatten([for s in jsondecode(output.analyst_json).Statement : s.Resource if contains(flatten([s.Action]), "s3:PutObject")])) == toset(["arn:aws:s3:::example-query/*"]) && !strcontains(output.analyst_json, "Delete")
    error_message = "and writes results alone"
  }
}

run "lists" {
  command = plan

  module {
    source = "./modules/query"
  }

  variables {
    nodes     = ["till", "shop"]
    timelines = [1, 10]
  }

  assert {
    condition     = aws_glue_catalog_table.records.parameters["projection.node.values"] == "shop,till" && aws_glue_catalog_table.records.parameters["projection.timeline_hex.values"] == "00000001,0000000a"
    error_message = "with lists a query is over all of them"
  }
}

run "long_name" {
  command = plan

  module {
    source = "./modules/query"
  }

  variables {
    bucket_name = "a23456789-123456789-123456789-123456789-123456789-123456-89-12"
  }

  assert {
    condition     = length(aws_s3_bucket.results.bucket) <= 63 && aws_s3_bucket.results.bucket == "a23456789-123456789-123456789-123456789-123456789-123456-query"
    error_message = "the bucket of results has a name that S3 takes"
  }
}
