/**
 * Explain: where a name belongs, why, and what each replica really holds (read back from its disk). The answer to
 * "where is my file and is it safe", for people.
 */
import type { NodeId } from '../domain/ids.ts';
import { ballotText } from '../domain/ballot.ts';
import type { Position } from '../domain/ring-position.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { InspectReply } from '../protocol/message.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { nextOwner, ownerOf } from '../ring/owner.ts';
import { memberById, replicaSets, type ReplicaSets } from '../ring/placement.ts';
import type { ExplainView, Liveness } from './node-service.ts';

export interface ExplainDeps {
  readonly caller: PeerCaller;
  readonly view: ClusterView;
  readonly liveness: (nodeId: NodeId) => Liveness;
  /** Hashes of the name: in full as hex, and as a position of the layout's ring. */
  readonly hash: string;
  readonly position: Position;
}

export interface ExplainOptions {
  readonly callTimeoutMs: number;
}

export async function explain(deps: ExplainDeps, options: ExplainOptions, name: string): Promise<ExplainView> {
  const { view, caller, position } = deps;
  const sets = replicaSets(view.layout, position);
  const nameOf = (nodeId: NodeId | null): string | null => (nodeId === null ? null : memberById(view.layout, nodeId)?.name ?? nodeId);
  const preferenceList = await Promise.all(sets.all.map(async (nodeId) => {
    const member = memberById(view.layout, nodeId);
    const outcome = await caller.call<'inspect'>({ nodeId, advertise: member?.advertise ?? '' }, { kind: 'inspect', name }, options.callTimeoutMs);
    const reply = outcome.kind === 'reply' && outcome.reply.kind === 'inspect-reply' ? outcome.reply : null;
    return {
      node: member?.name ?? nodeId,
      nodeId,
      reason: reasonOf(sets, nodeId, deps.liveness(nodeId)),
      liveness: deps.liveness(nodeId),
      holds: reply === null ? null : heldBy(reply),
    };
  }));
  return {
    name,
    hash: deps.hash,
    key: position,
    arc: { from: sets.from, to: sets.end },
    epoch: view.layout.epoch,
    owner: nameOf(ownerOf(view, position)),
    preferenceList,
    nextOwner: nameOf(nextOwner(view, position)),
    repairsPending: repairsPending(preferenceList),
  };
}

function heldBy(reply: InspectReply): NonNullable<ExplainView['preferenceList'][number]['holds']> {
  const record = reply.accepted?.record ?? null;
  return {
    version: record === null ? null : ballotText(record.version),
    kind: record?.kind ?? 'none',
    size: record?.kind === 'object' ? record.body.size : 0,
    sha256: reply.sha256,
    durable: reply.isDurable,
  };
}

/** Replicas that answered with something else than the highest version among the answers. */
function repairsPending(list: ExplainView['preferenceList']): number {
  const versions = list.map((replica) => replica.holds).filter((holds) => holds !== null).map((holds) => holds.version ?? '');
  const counts = new Map<string, number>();
  for (const version of versions) counts.set(version, (counts.get(version) ?? 0) + 1);
  return versions.length - Math.max(0, ...counts.values());
}

function reasonOf(sets: ReplicaSets, nodeId: NodeId, liveness: Liveness): string {
  const rank = sets.old.indexOf(nodeId);
  const place = rank === 0 ? 'owner: first node clockwise from the key'
    : rank > 0 ? `copy ${rank + 1}: next distinct node clockwise`
    : 'gains the arc when the move ends';
  const leaves = sets.isMoving && rank >= 0 && !sets.new.includes(nodeId) ? '; gives the arc up when the move ends' : '';
  const down = liveness === 'alive' ? '' : `; ${liveness}, skipped for ownership until it returns`;
  return `${place}${leaves}${down}`;
}
