/**
 * How long the log is, how much of it is live, and what checkpoints and compaction have done: as metrics when Prometheus asks,
 * and as one line for people. The store counts; this only shows.
 */
import type { Counter, Meter } from '../ports/meter.ts';
import type { UpkeepReport } from '../storage/log-upkeep.ts';

export function registerUpkeepMetrics(meter: Meter, source: () => UpkeepReport | null): void {
  const live = meter.gauge({ name: 'dht_storage_log_live_bytes', help: 'Bytes of the log that are still in use, as last counted: at the start and by each checkpoint.' });
  const since = meter.gauge({ name: 'dht_storage_log_since_checkpoint_bytes', help: 'Bytes of the log that a start would repeat.' });
  const checkpointBytes = meter.gauge({ name: 'dht_storage_checkpoint_bytes', help: 'Size of the newest checkpoint; 0 when there is none.' });
  const checkpointSeconds = meter.gauge({ name: 'dht_storage_checkpoint_duration_seconds', help: 'How long the newest checkpoint took to write, pauses included.' });
  const counters: readonly (readonly [Counter, (report: UpkeepReport) => number])[] = [
    [meter.counter({ name: 'dht_storage_checkpoints_total', help: 'Checkpoints written.' }), (report) => report.checkpoints],
    [meter.counter({ name: 'dht_storage_compacted_segments_total', help: 'Segments of the log whose live part was copied.' }), (report) => report.compactedSegments],
    [meter.counter({ name: 'dht_storage_compacted_bytes_total', help: 'Bytes that compaction copied.' }), (report) => report.copiedBytes],
    [meter.counter({ name: 'dht_storage_removed_segments_total', help: 'Segments of the log that were removed.' }), (report) => report.removedSegments],
  ];
  const shown = counters.map(() => 0);
  meter.onScrape(() => {
    const report = source();
    if (report === null) return;
    live.set(report.liveBytes);
    since.set(report.sinceCheckpointBytes);
    checkpointBytes.set(report.checkpointBytes);
    checkpointSeconds.set(report.checkpointMs / 1000);
    for (const [index, [counter, valueOf]] of counters.entries()) {
      counter.add(valueOf(report) - (shown[index] ?? 0));
      shown[index] = valueOf(report);
    }
  });
}

/** `log 312 MB, 210 MB of it in use; a start repeats 12 MB`. */
export function upkeepText(logBytes: number, report: UpkeepReport): string {
  const isCounted = report.checkpoints > 0 || report.checkpointBytes > 0;
  const use = isCounted ? `${megabytes(report.liveBytes)} of it in use` : 'no checkpoint yet';
  return `log ${megabytes(logBytes)}, ${use}; a start repeats ${megabytes(report.sinceCheckpointBytes)}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
