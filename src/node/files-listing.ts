/**
 * The seed's `files` and `backUpFiles`: names of the live objects that this node owns (it is the first live node of
 * their preference list), and of those it holds as another replica. A page is one stretch of the index in key order; the
 * names come from the log, since the index doesn't keep them.
 * Source: protocol "What a node shows".
 */
import { positionOfKey, type ObjectKey } from '../domain/ring-position.ts';
import { ownerOf } from '../ring/owner.ts';
import { arcsHeldBy } from '../ring/held-arcs.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import type { RegisterStore, ScanEntry } from '../storage/register-store.ts';
import type { FilesPage } from './node-service.ts';

/** Records read from the log side by side. */
const LOADS_AT_ONCE = 64;

/** One page after the cursor (a key, as the previous page returned it). */
export async function filesPage(store: RegisterStore, view: ClusterView, cursor: string | null, limit: number): Promise<FilesPage> {
  const { layout, self } = view;
  // Arcs are walked in the order of their ends, so the cursor's arc index is found again by its position.
  const entries: ScanEntry[] = [];
  let next: ObjectKey | null = null;
  let resume = parseCursor(cursor);
  for (const [i, arc] of arcsHeldBy(layout, self).entries()) {
    if (i < resume.arc) continue;
    let after = i === resume.arc ? resume.after : null;
    for (;;) {
      const page = store.scan(arc, after, limit - entries.length);
      entries.push(...page.entries);
      after = page.entries.at(-1)?.key ?? after;
      if (page.isLast) break;
      if (entries.length >= limit) {
        next = after;
        break;
      }
    }
    resume = { arc: i, after: next };
    if (next !== null) break;
    if (entries.length >= limit) {
      resume = { arc: i + 1, after: null };
      break;
    }
  }
  const isMore = next !== null || (entries.length >= limit && resume.arc < arcsHeldBy(layout, self).length);
  const files: string[] = [];
  const backUpFiles: string[] = [];
  for (let at = 0; at < entries.length; at += LOADS_AT_ONCE) {
    const loaded = await Promise.all(entries.slice(at, at + LOADS_AT_ONCE).map(async (entry) => {
      const record = entry.kind === 'object' ? await store.load(entry.key, entry) : null;
      return record === null ? null : { name: record.name, key: entry.key };
    }));
    for (const found of loaded) {
      if (found === null) continue;
      const isOwner = ownerOf(view, positionOfKey(found.key, layout.keyBits)) === self;
      (isOwner ? files : backUpFiles).push(found.name);
    }
  }
  return { files, backUpFiles, cursor: isMore ? `${resume.arc}.${resume.after ?? ''}` : null };
}

function parseCursor(cursor: string | null): { arc: number; after: ObjectKey | null } {
  const match = /^(\d{1,6})\.([0-9a-f]{40})?$/.exec(cursor ?? '0.');
  if (match === null) return { arc: 0, after: null };
  return { arc: Number(match[1]), after: (match[2] ?? null) as ObjectKey | null };
}
