import { describe, expect, test } from '@jest/globals';
import { registerUpkeepMetrics, upkeepText } from '../../../src/node/upkeep-metrics.ts';
import type { Meter } from '../../../src/ports/meter.ts';
import type { UpkeepReport } from '../../../src/storage/log-upkeep.ts';

const report: UpkeepReport = {
  liveBytes: 210e6, sinceCheckpointBytes: 1.25e6, checkpointBytes: 5e6, checkpointMs: 1500, checkpoints: 3, compactedSegments: 2, copiedBytes: 4e6, removedSegments: 7,
};

describe('what is shown of the log', () => {
  test('counters grow by what was done since the scrape before, gauges show what is', () => {
    const values = new Map<string, number>();
    let scrape = (): void => undefined;
    const meter: Meter = {
      counter: ({ name }) => ({ add: (amount) => { values.set(name, (values.get(name) ?? 0) + amount); } }),
      gauge: ({ name }) => ({ set: (value) => { values.set(name, value); }, remove: () => undefined }),
      histogram: () => ({ observe: () => undefined }),
      onScrape: (refresh) => { scrape = refresh; },
    };
    let present: UpkeepReport | null = null;
    registerUpkeepMetrics(meter, () => present);
    scrape();
    expect(values.size).toBe(0);
    present = report;
    scrape();
    present = { ...report, checkpoints: 4, removedSegments: 9 };
    scrape();
    expect(Object.fromEntries(values)).toEqual({
      dht_storage_log_live_bytes: 210e6, dht_storage_log_since_checkpoint_bytes: 1.25e6, dht_storage_checkpoint_bytes: 5e6,
      dht_storage_checkpoint_duration_seconds: 1.5, dht_storage_checkpoints_total: 4, dht_storage_compacted_segments_total: 2,
      dht_storage_compacted_bytes_total: 4e6, dht_storage_removed_segments_total: 9,
    });
  });

  test('a person reads how long the log is, how much of it is in use, and what a start repeats', () => {
    expect(upkeepText(312e6, report)).toBe('log 312 MB, 210 MB of it in use; a start repeats 1.3 MB');
    expect(upkeepText(1e5, { ...report, checkpoints: 0, checkpointBytes: 0 })).toBe('log 0.1 MB, no checkpoint yet; a start repeats 1.3 MB');
  });
});
