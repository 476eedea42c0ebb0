variable "name" {
  description = "Name of the archive; the alias is named after it."
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

variable "multi_region" {
  description = "Whether the key can be replicated to other regions. Cannot be changed later."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}
