/** A boundary of the log comes by itself: whoever waits for one depends on nobody else's next change. */
import { expect, test } from '@jest/globals';
import { Log } from '../../../src/storage/log.ts';
import { LogSegments } from '../../../src/storage/log-segments.ts';
import { DIRECTORY, ballot, keyAt, node } from './store-fixture.ts';
import { testSimDisk } from './test-disk.ts';

test('a boundary comes although nobody waits for the changes before it', async () => {
  const disk = testSimDisk('boundary').boot();
  await disk.makeDirectory(DIRECTORY);
  const log = new Log(
    { disk, onSeal: () => undefined, onDurable: () => undefined, untilRoom: (write) => write(), onFailure: (error) => { throw error as Error; } },
    { directory: DIRECTORY, nodeId: node(1), keyBits: 48, salt: Buffer.alloc(16), segmentBytes: 4096 },
    new LogSegments([]), { position: 0, sequence: 1, fileBytes: 0 },
  );
  log.append({ kind: 'promise', key: keyAt(1), name: 'n', ballot: ballot(1), staged: null }, null, 'none');
  let found: number | null = null;
  log.atBoundary((boundary) => { found = boundary?.position ?? null; });
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => { setImmediate(resolve); });
  expect(found).toBeGreaterThan(0);
  expect(log.durablePosition).toBe(found);
});
