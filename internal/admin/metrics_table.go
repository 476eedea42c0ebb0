package admin

// The names are a promise: dashboards and alerts hold them.
var (
	byCore  = []string{"core"}
	byStore = []string{"repo"}
	byState = []string{"state"}

	nodeMetrics = []definition{
		{"nodedb_build_info", gauge, []string{"version"}, "Always 1."},
		{"nodedb_ready", gauge, nil, "1 while /readyz says yes."},
		{"nodedb_writable", gauge, nil, "1 while the node takes writes."},
		{"nodedb_durable_lsn", gauge, nil, "Last LSN that is durable in the log."},
		{"nodedb_appended_lsn", gauge, nil, "Last LSN that was given."},
		{"nodedb_applied_lsn", gauge, nil, "Highest LSN that a vshard has applied."},
		{"nodedb_checkpointed_lsn", gauge, nil, "LSN up to which every vshard is flushed."},
		{"nodedb_truncated_lsn", gauge, nil, "LSN up to which the local log was removed."},
		{"nodedb_recovery_records", gauge, nil, "Records that the last start replayed."},
		{"nodedb_recovery_duration_seconds", gauge, nil, "Time that the last start replayed."},
		{"nodedb_vshards", gauge, byState, "Vshards that serve, are being rebuilt, or are quarantined."},
		{"nodedb_table_bytes", gauge, nil, "Size of all tables on disk."},
		{"nodedb_memtable_bytes", gauge, nil, "Size of what is not in tables yet."},
		{"nodedb_compactions_running", gauge, nil, "Compactions that run."},
		{"nodedb_read_amplification", gauge, nil, "Most levels that a read of some vshard may have to look at."},
		{"nodedb_update_duration_seconds", histogram, nil, "Time from the submission of an update until its end was told, failed ones too; without those that were refused at once."},

		{"nodedb_core_tasks_total", counter, byCore, "Tasks that ran to their end."},
		{"nodedb_core_panics_total", counter, byCore, "Panics that the core caught."},
		{"nodedb_core_expired_total", counter, byCore, "Tasks answered with a passed deadline, without having run."},
		{"nodedb_core_cancelled_total", counter, byCore, "Tasks given up by their callers, without having run."},
		{"nodedb_core_refused_total", counter, byCore, "Tasks not accepted: queue full, degraded, or closed."},
		{"nodedb_core_rejected_total", counter, byCore, "Tasks accepted, then answered that the core is degraded or closed."},
		{"nodedb_core_queue_depth", gauge, byCore, "Tasks that wait."},
		{"nodedb_core_queue_depth_max", gauge, byCore, "Most tasks that were found waiting."},
		{"nodedb_core_busy_seconds_total", counter, byCore, "Time that the core worked."},
		{"nodedb_core_idle_seconds_total", counter, byCore, "Time that the core waited."},
		{"nodedb_core_degraded", gauge, byCore, "1 while the core takes no requests."},

		{"nodedb_wal_segments", gauge, nil, "Segments of the local log."},
		{"nodedb_wal_size_bytes", gauge, nil, "Size of the local log."},
		{"nodedb_wal_oldest_timestamp_seconds", gauge, nil, "Time of the first record kept."},
		{"nodedb_wal_records_total", counter, nil, "Records appended."},
		{"nodedb_wal_written_bytes_total", counter, nil, "Bytes written into segments."},
		{"nodedb_wal_group_commits_total", counter, nil, "Groups of records that were written together."},
		{"nodedb_wal_syncs_total", counter, nil, "fdatasync calls."},
		{"nodedb_wal_seals_total", counter, nil, "Segments sealed."},
		{"nodedb_wal_waits_total", counter, nil, "Appends that waited for room in the buffer."},
		{"nodedb_wal_disk_full_total", counter, nil, "Appends refused because the disk was full."},
		{"nodedb_wal_commit_duration_seconds", histogram, nil, "Write and sync time of group commits."},

		{"nodedb_checkpoints_total", counter, []string{"result"}, "Checkpoints, ok or failed."},
		{"nodedb_checkpoints_failed_in_a_row", gauge, nil, "Checkpoints that failed since the last good one."},
		{"nodedb_checkpoint_last_success_timestamp_seconds", gauge, nil, "Time of the last good checkpoint; 0 for none since the start."},
		{"nodedb_checkpoint_duration_seconds", gauge, nil, "Time that the last good checkpoint took."},
		{"nodedb_bases_total", counter, []string{"result"}, "Base backups, ok or failed."},
		{"nodedb_base_last_success_timestamp_seconds", gauge, nil, "Time of the last good base backup; 0 for none since the start."},
	}

	archiveMetrics = []definition{
		{"nodedb_archive_last_lsn", gauge, nil, "LSN up to which every required store holds the log, verified."},
		{"nodedb_archive_last_success_timestamp_seconds", gauge, byStore, "Time of the last success at a store; 0 for none since the start."},
		{"nodedb_archive_lag_bytes", gauge, nil, "Log that is not in every required store."},
		{"nodedb_archive_lag_seconds", gauge, nil, "Age of the oldest log that is not in every required store; 0 without such."},
		{"nodedb_archive_lag_lsns", gauge, nil, "LSNs that are not in every required store."},
		{"nodedb_archive_store_lsn", gauge, byStore, "LSN up to which a store holds the log, verified."},
		{"nodedb_archive_queue_segments", gauge, byStore, "Segments and gaps that wait for a store."},
		{"nodedb_archive_queue_bytes", gauge, byStore, "Bytes that wait for a store."},
		{"nodedb_archive_budget_bytes", gauge, nil, "Unarchived log that is allowed."},
		{"nodedb_archive_in_flight", gauge, byStore, "Requests of the archiver that run."},
		{"nodedb_archive_uploads_total", counter, []string{"result", "repo"}, "Uploads of segments: ok or failed."},
		{"nodedb_archive_upload_bytes_total", counter, byStore, "Bytes that a store acknowledged."},
		{"nodedb_archive_fenced", gauge, nil, "1 when another node has taken over the archive."},
		{"nodedb_archive_gaps_total", counter, byStore, "Gap objects created."},
		{"nodedb_archive_gap_bytes_total", counter, byStore, "Log that was given up for a store."},
		{"nodedb_archive_paused", gauge, nil, "1 while writes are refused because the budget is used up."},
		{"nodedb_archive_backpressure_ratio", gauge, nil, "Share of the budget that is used."},
		{"nodedb_archive_circuit_state", gauge, byStore, "0 closed (works), 1 half-open, 2 open, 3 fenced."},
		{"nodedb_archive_missing_lsns", gauge, byStore, "LSNs that a store is brought from another one."},
		{"nodedb_archive_copied_bytes_total", counter, byStore, "Bytes that a store was brought from another one."},
		{"nodedb_verify_last_success_timestamp_seconds", gauge, nil, "Time of the last segment that was proven in a store after its upload."},
		{"nodedb_verify_bytes_total", counter, nil, "Log that was proven in a store after its upload."},
		{"nodedb_verify_failures_total", counter, nil, "Objects that a store acknowledged and then did not have, or had differently."},
		{"nodedb_catalog_cas_conflicts_total", counter, nil, "Creates that found the object there already."},
	}

	historyMetrics = []definition{
		{"nodedb_pitr_window_start_lsn", gauge, nil, "First LSN of the newest window of the node's timeline."},
		{"nodedb_pitr_window_end_lsn", gauge, nil, "Last LSN of that window."},
		{"nodedb_pitr_window_start_timestamp_seconds", gauge, nil, "Time of its first LSN."},
		{"nodedb_pitr_window_end_timestamp_seconds", gauge, nil, "Time of its last LSN."},
		{"nodedb_catalog_lag_seconds", gauge, nil, "Age of the listing that the window and the counts here come from."},
		{"nodedb_catalog_entries", gauge, nil, "Objects in that listing."},
		{"nodedb_catalog_ignored_total", gauge, nil, "Objects in that listing that are not the node's, and are left alone."},
		{"nodedb_catalog_reconciled_total", counter, nil, "Listings read."},
		{"nodedb_restore_drill_last_success_timestamp_seconds", gauge, nil, "Start of the newest drill that rebuilt the published state."},
		{"nodedb_restore_drill_duration_seconds", gauge, nil, "Time that it took."},
		{"nodedb_restore_drill_lsn", gauge, nil, "LSN that it rebuilt."},
	}

	clientMetrics = []definition{
		{"nodedb_redis_clients", gauge, nil, "Redis clients that are connected."},
		{"nodedb_redis_clients_max", gauge, nil, "Redis clients that are allowed."},
		{"nodedb_redis_connections_total", counter, nil, "Redis connections accepted."},
		{"nodedb_redis_connections_refused_total", counter, nil, "Redis connections refused because there were too many."},
		{"nodedb_redis_commands_total", counter, nil, "Redis commands."},
		{"nodedb_redis_errors_total", counter, nil, "Redis commands answered with an error."},
		{"nodedb_redis_received_bytes_total", counter, nil, "Bytes from Redis clients."},
		{"nodedb_redis_sent_bytes_total", counter, nil, "Bytes to Redis clients."},
	}
)
