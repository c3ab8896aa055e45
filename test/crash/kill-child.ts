/**
 * A process that is going to be killed: writes keys in a store on the real disk, with checkpoints and compaction all the time,
 * and prints `key number` once a write is durable. `node kill-child.ts <directory> <first number>`.
 */
import { writeSync } from 'node:fs';
import { ballot, bodyId, keyAt, liveRecord } from '../unit/storage/store-fixture.ts';
import { KILL_KEYS, killBody, openKillStore } from './kill-store.ts';

const [directory = '', first = '1'] = process.argv.slice(2);
const store = await openKillStore(directory);
for (let n = Number(first); ; n += 8) {
  await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    const k = ((n + i) * 7919) % KILL_KEYS;
    void store.promise(keyAt(k), `key ${k}`, ballot(n + i), { bodyId: bodyId(n + i), bytes: killBody(n + i) });
    await store.accept(keyAt(k), `key ${k}`, ballot(n + i), liveRecord(ballot(n + i), bodyId(n + i), killBody(n + i).length));
    writeSync(1, `${k} ${n + i}\n`);
  }));
}
