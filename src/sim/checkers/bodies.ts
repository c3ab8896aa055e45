/**
 * The body of every accepted record is on the same disk as the record, whole, at any time (invariants I15, I16, rules R6,
 * R7). Asked at the end, and after each start: what a crash took apart may be mended by catch-up a moment later. A read
 * that the disk fails says nothing, and a body that the fault plan let rot is excused once the node knows that it lacks it.
 */
import { hash } from 'node:crypto';
import { DhtError } from '../../domain/error-catalogue.ts';
import type { BodyId } from '../../domain/ids.ts';
import type { ObjectKey, Position, RingArc } from '../../domain/ring-position.ts';
import type { RegisterStore } from '../../storage/register-store.ts';

const WHOLE_RING: RingArc = { from: 0 as Position, to: 0 as Position };
const PAGE = 1000;

/** `null` where the disk failed to read. */
const unlessFailed = (error: unknown): null => {
  if (error instanceof DhtError && error.code === 'DHT_ERR_DISK_FAILED') return null;
  throw error;
};

/** What is wrong on one node, one sentence a record. */
export async function checkBodies(nodeName: string, store: RegisterStore, mayBeLost: (bodyId: BodyId) => boolean): Promise<readonly string[]> {
  const wrong: string[] = [];
  let after: ObjectKey | null = null;
  for (;;) {
    const page = store.scan(WHOLE_RING, after, PAGE);
    for (const { key, ...head } of page.entries) {
      after = key;
      if (head.kind !== 'object' || head.bodyId === null) continue;
      const loaded = await store.load(key, head).catch(unlessFailed);
      if (loaded === null) continue;
      if (loaded.record.kind !== 'object') {
        wrong.push(`${nodeName} can't read the record of ${key}`);
        continue;
      }
      const { body } = loaded.record;
      let hasFailed = false;
      const read = await store.readBody(key, body.bodyId, 0, Math.max(1, body.size)).catch((error: unknown) => {
        hasFailed = true;
        return unlessFailed(error);
      });
      if (hasFailed) continue;
      if (mayBeLost(body.bodyId) && !store.holdsBody(key, body.bodyId)) continue;
      const isWhole = read !== null && read.size === body.size && hash('sha256', read.bytes) === body.sha256;
      // A record that was replaced meanwhile no longer needs its body.
      if (!isWhole && store.head(key)?.bodyId === body.bodyId) wrong.push(`${nodeName} accepted "${loaded.name}" without holding its body ${body.bodyId.slice(0, 8)} (${body.size} bytes)`);
    }
    if (page.isLast || page.entries.length === 0) return wrong;
  }
}
