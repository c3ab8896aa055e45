/**
 * What happened to the ring, as this node sees it: the difference between two looks, as events that people and programs
 * can follow. Pure: whoever looks decides how often; what begins and ends between two looks was nothing.
 */
import { assertNever } from '../domain/assert.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { allReplicaSets } from '../ring/placement.ts';
import type { Liveness, RingEventKind } from './node-service.ts';

/** One look. */
export interface RingLook {
  /** Null: in no ring. */
  readonly layout: Layout | null;
  readonly liveness: ReadonlyMap<NodeId, Liveness>;
  /** Objects known here to lack a copy, and comparisons that have to tell. */
  readonly unrepaired: number;
}

export const NO_LOOK: RingLook = { layout: null, liveness: new Map(), unrepaired: 0 };

/** An event without its id and time. */
export interface RingChange {
  readonly kind: RingEventKind;
  /** The member's name. */
  readonly member: string | null;
  readonly epoch: number;
  /** Of moved: arcs. Of repaired: objects and comparisons that were missing at the last look. */
  readonly count: number | null;
  readonly message: string;
}

export function ringChanges(before: RingLook, after: RingLook): readonly RingChange[] {
  return [...layoutChanges(before.layout, after.layout), ...livenessChanges(before, after), ...repairChanges(before, after)];
}

function layoutChanges(before: Layout | null, after: Layout | null): readonly RingChange[] {
  if (after === null || before === after || (before !== null && before.epoch === after.epoch)) return [];
  const { epoch } = after;
  const changes: RingChange[] = [{ kind: 'layout', member: null, epoch, count: null, message: `Layout ${epoch} is in force: ${after.members.length} ${after.members.length === 1 ? 'member' : 'members'}${after.phase === 'moving' ? ', data is moving' : ''}.` }];
  // What was there when this node first saw the ring is no event.
  if (before === null) return changes;
  const inBefore = new Map(before.members.map((member) => [member.nodeId, member]));
  const inAfter = new Map(after.members.map((member) => [member.nodeId, member]));
  for (const { nodeId, name, state } of after.members) {
    const was = inBefore.get(nodeId)?.state ?? null;
    if (was === state) continue;
    if (state === 'member' && (was === null || was === 'joining')) changes.push({ kind: 'joined', member: name, epoch, count: null, message: `${name} has joined the ring.` });
    if (state === 'joining') changes.push({ kind: 'joining', member: name, epoch, count: null, message: `${name} is joining: its data is being copied to it.` });
    if (state === 'leaving') changes.push({ kind: 'leaving', member: name, epoch, count: null, message: `${name} is leaving: its data is being copied to others.` });
  }
  for (const { nodeId, name } of before.members) {
    if (!inAfter.has(nodeId)) changes.push({ kind: 'left', member: name, epoch, count: null, message: `${name} is no member any more.` });
  }
  const arcs = before.phase === 'moving' && after.phase === 'stable' ? allReplicaSets(before).filter(({ old, new: coming }) => old.join() !== coming.join()).length : 0;
  if (arcs > 0) changes.push({ kind: 'moved', member: null, epoch, count: arcs, message: `${arcs} ${arcs === 1 ? 'arc has' : 'arcs have'} moved to ${arcs === 1 ? 'its' : 'their'} new owners.` });
  return changes;
}

function livenessChanges(before: RingLook, after: RingLook): readonly RingChange[] {
  const epoch = after.layout?.epoch ?? 0;
  return (after.layout?.members ?? []).flatMap(({ nodeId, name }): readonly RingChange[] => {
    const was = before.liveness.get(nodeId) ?? 'alive';
    const is = after.liveness.get(nodeId) ?? 'unknown';
    if (was === is) return [];
    const change = (kind: RingEventKind, message: string): readonly RingChange[] => [{ kind, member: name, epoch, count: null, message }];
    switch (is) {
      case 'suspect': return change('suspected', `${name} does not answer.`);
      case 'down': return change('down', `${name} is down.`);
      case 'restarting': return change('restarting', `${name} stops for a restart.`);
      case 'alive':
        if (was === 'unknown') return [];
        return was === 'suspect' ? change('refuted', `${name} answers again: it was not down.`) : change('returned', `${name} is back.`);
      case 'unknown': return [];
      default: return assertNever(is);
    }
  });
}

function repairChanges(before: RingLook, after: RingLook): readonly RingChange[] {
  if (before.unrepaired === 0 || after.unrepaired > 0) return [];
  return [{ kind: 'repaired', member: null, epoch: after.layout?.epoch ?? 0, count: before.unrepaired, message: 'Nothing known here lacks a copy any more.' }];
}
