/**
 * What a node does that can't read its own log back. It must never vote again under its old id, for it may have forgotten a
 * promise; and it must not throw away what perhaps only it has. So it asks the other members, as a node without a ring:
 *
 *   newest layout that any of them shows
 *     this node isn't in it any more --------------------------------------------> renew: nobody counts on it
 *     every set of replicas it is in, and the voters, have a live majority
 *     without it -----------------------------------------------------------------> renew: every acknowledged write meets
 *                                                                                   that majority in a node that has it
 *     otherwise: asks again for a while, then the start ends with what is missing; nothing on disk has changed
 *
 * To renew: a new node id with an empty log, which replaces the lost member by the steps of a join; the old log stays beside it,
 * and body files stay as they are. A ring of one or two can't do without any member, so there it never happens by itself.
 * Source: protocol sections D.1 "damaged" and F.2; rules R11, R16; [ProtocolAware18] "Safety"; [Amnesia17].
 */
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { Clock } from '../ports/clock.ts';
import { allReplicaSets } from '../ring/placement.ts';

export interface DamagedStartDeps {
  /** Calls under an id that no ring knows. */
  readonly caller: PeerCaller;
  readonly clock: Clock;
}

export interface DamagedStartOptions {
  /** Milliseconds until it is given up. */
  readonly waitMs: number;
  /** Milliseconds between two rounds of questions. */
  readonly retryMs: number;
  readonly callTimeoutMs: number;
}

export interface DamagedNode {
  readonly nodeId: NodeId;
  /** Where members may be: of the last layout that could be read, and seeds. */
  readonly addresses: readonly string[];
}

export type DamagedOutcome =
  /** `rejoin`: addresses of the ring's other members. */
  | { readonly kind: 'renew'; readonly rejoin: readonly string[] }
  | { readonly kind: 'needed'; readonly detail: string };

export async function decideDamagedStart(deps: DamagedStartDeps, options: DamagedStartOptions, node: DamagedNode): Promise<DamagedOutcome> {
  const { clock } = deps;
  const beganAt = clock.monotonicNow();
  const addresses = new Set(node.addresses);
  for (;;) {
    const { layout, live } = await askAll(deps, options, addresses);
    const missing = layout === null ? 'no member of the ring answers' : lackingWithout(layout, node.nodeId, live);
    if (layout !== null && missing === null) {
      return { kind: 'renew', rejoin: layout.members.filter((member) => member.nodeId !== node.nodeId).map((member) => member.advertise) };
    }
    for (const member of layout?.members ?? []) if (member.nodeId !== node.nodeId) addresses.add(member.advertise);
    if (elapsedMs(beganAt, clock.monotonicNow()) >= options.waitMs) return { kind: 'needed', detail: missing ?? '' };
    await new Promise<void>((resolve) => { clock.after(options.retryMs, resolve); });
  }
}

/** What the ring lacks without the node, in words; null: nothing. */
export function lackingWithout(layout: Layout, nodeId: NodeId, live: ReadonlySet<NodeId>): string | null {
  if (!layout.members.some((member) => member.nodeId === nodeId)) return null;
  const hasMajority = (set: readonly NodeId[]): boolean => set.filter((id) => id !== nodeId && live.has(id)).length > set.length / 2;
  const arcs = allReplicaSets(layout);
  const lacking = arcs.filter((arc) => [arc.old, arc.new].some((set) => set.includes(nodeId) && !hasMajority(set)));
  const down = layout.members.filter((member) => member.nodeId !== nodeId && !live.has(member.nodeId)).map((member) => member.name);
  const who = down.length === 0 ? 'the ring is too small' : `down: ${down.join(', ')}`;
  if (lacking.length > 0) return `${lacking.length} of ${arcs.length} arcs have no live majority without this node (${who})`;
  return hasMajority(layout.voters) ? null : `the voters of the layout have no live majority without this node (${who})`;
}

async function askAll(deps: DamagedStartDeps, options: DamagedStartOptions, addresses: ReadonlySet<string>): Promise<{ readonly layout: Layout | null; readonly live: ReadonlySet<NodeId> }> {
  const live = new Set<NodeId>();
  let newest: Layout | null = null;
  await Promise.all([...addresses].map(async (advertise) => {
    const outcome = await deps.caller.call<'layout-fetch'>({ nodeId: null, advertise }, { kind: 'layout-fetch' }, options.callTimeoutMs);
    if (outcome.kind !== 'reply' || outcome.reply.kind !== 'layout-reply') return;
    live.add(outcome.from);
    const { layout } = outcome.reply;
    if (layout !== null && layout.epoch > (newest?.epoch ?? 0)) newest = layout;
  }));
  return { layout: newest, live };
}
