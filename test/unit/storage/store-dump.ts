/** Everything that a store shows, as a value that can be compared: what a restart must not change. */
import type { BodyId } from '../../../src/domain/ids.ts';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { arc, keyAt, node } from './store-fixture.ts';

export interface StagedBody {
  readonly key: ObjectKey;
  readonly bodyId: BodyId;
}

/** `staged`: bodies to ask for beside those that records name. Where the log has a record is left out. */
export async function dumpOf(store: ObjectStore, staged: readonly StagedBody[] = []): Promise<unknown> {
  const registers: unknown[] = [];
  for (const { recordAt: _recordAt, ...entry } of store.scan(arc(0, 0), null, 1e6).entries) {
    const head = store.head(entry.key);
    const loaded = head === null ? null : await store.load(entry.key, head);
    const body = entry.bodyId === null ? null : await store.readBody(entry.key, entry.bodyId, 0, 1e9);
    registers.push({ ...entry, loaded, body: body === null ? null : body.bytes.toString('hex') });
  }
  const bodies: unknown[] = [];
  for (const { key, bodyId } of staged) bodies.push((await store.readBody(key, bodyId, 0, 1e9))?.bytes.toString('hex') ?? null);
  const { logBytes: _logBytes, ...totals } = store.totals();
  return {
    registers, bodies, totals,
    names: store.scanNames('', null, 1e6).entries,
    floors: Array.from({ length: 64 }, (_, i) => store.floor(keyAt(i * 2 ** 42))),
    layout: store.layout(), slot: store.slot(), caught: [...store.caught()], founder: store.promisedFounder(),
    peers: [1, 2, 3].map((n) => store.remembered(node(n))),
    nodeId: store.nodeId,
  };
}
