/**
 * What still lacks a copy, as far as this node knows, for people and for the gauges: objects of arcs with a replica that is
 * away, writes that others missed, registers and comparisons that wait here. A pure function; every node tells its own part,
 * so the sum over all nodes counts an object once for each replica that knows of it.
 */
import type { Layout } from '../domain/layout.ts';
import type { NodeId } from '../domain/ids.ts';
import type { RingArc } from '../domain/ring-position.ts';
import { arcsWhere } from '../ring/held-arcs.ts';
import type { RepairView } from './node-service.ts';

export interface RepairReportInput {
  /** Null: in no ring yet. */
  readonly layout: Layout | null;
  readonly self: NodeId;
  readonly isUp: (nodeId: NodeId) => boolean;
  readonly nowMs: number;
  /** Live objects held here in the arcs. */
  readonly objectsIn: (arcs: readonly RingArc[]) => number;
  readonly hints: { readonly count: number; readonly oldestAt: number | null; readonly nodes: () => readonly NodeId[]; readonly countOf: (nodeId: NodeId) => number };
  readonly keys: { readonly pendingCount: number; readonly oldestMs: number | null };
  /** Peers that this node has to be compared with after it was away. */
  readonly peersLeft: number;
  /** That background work may move now. */
  readonly bytesPerSecond: number;
}

export function repairReport({ layout, self, isUp, nowMs, objectsIn, hints, keys, peersLeft, bytesPerSecond }: RepairReportInput): RepairView {
  const away = layout === null ? [] : arcsWhere(layout, ({ all }) => all.includes(self) && !all.every(isUp));
  const objectsAway = away.length === 0 ? 0 : objectsIn(away);
  // What a node that is away missed is in `objectsAway` already.
  const missed = hints.nodes().filter(isUp).reduce((sum, nodeId) => sum + hints.countOf(nodeId), 0);
  const underReplicatedObjects = objectsAway + missed + keys.pendingCount;
  const hintAgeMs = hints.oldestAt === null ? null : Math.max(0, nowMs - hints.oldestAt);
  const ages = [hintAgeMs, keys.oldestMs].filter((age) => age !== null);
  const oldestUnrepairedSeconds = ages.length === 0 ? null : Math.max(...ages) / 1000;
  return {
    underReplicatedObjects,
    hintsQueued: hints.count,
    oldestHintMs: hints.oldestAt ?? nowMs,
    keysPending: keys.pendingCount,
    comparisonsLeft: peersLeft,
    oldestUnrepairedSeconds,
    bytesPerSecond,
    summary: inWords(underReplicatedObjects, peersLeft, oldestUnrepairedSeconds),
  };
}

function inWords(objects: number, peersLeft: number, oldestSeconds: number | null): string {
  const parts: string[] = [];
  if (objects > 0) parts.push(`${objects} objects known here lack a copy`);
  if (peersLeft > 0) parts.push(`this node was away and still compares itself with ${peersLeft} others`);
  if (parts.length === 0) return 'Nothing known here lacks a copy.';
  const age = oldestSeconds === null ? '' : `; the oldest has waited for ${Math.round(oldestSeconds)} s`;
  return `Not yet fully replicated: ${parts.join(', ')}${age}.`;
}
