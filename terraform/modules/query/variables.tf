variable "name" {
  description = "Name of the archive; database and workgroup are named after it."
  type        = string
}

variable "place" {
  description = "Where this is: partition, region and account."
  type = object({
    partition  = string
    region     = string
    account_id = string
  })
}

variable "bucket_name" {
  description = "Name of the bucket of the archive; that of the results is named after it."
  type        = string
}

variable "root" {
  description = "What all names of the archive begin with, with the slash: prefix/nodedb/v1/."
  type        = string
}

variable "nodes" {
  description = "Ids of the nodes. Empty: each query names one."
  type        = set(string)
  default     = []
}

variable "timelines" {
  description = "Timelines to query over. Empty: each query names one."
  type        = set(number)
  default     = []
}

variable "kms_key_arn" {
  description = "The key that results are encrypted with, or null."
  type        = string
  default     = null
}

variable "results_days" {
  description = "Days for which results are kept."
  type        = number
  default     = 7
}

variable "scan_limit_bytes" {
  description = "What one query may read at most; it is charged by bytes read."
  type        = number
  default     = 10737418240
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}
