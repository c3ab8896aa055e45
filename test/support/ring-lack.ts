/** Whether a ring is whole, as each of its nodes says it: one ring, one epoch at rest, every copy in its place, all serving. */
import type { NodeView, RingView } from '../../src/node/node-service.ts';
import { until } from './real-ring.ts';

export interface AskedNode {
  readonly name: string;
  ring(): Promise<RingView>;
  view(): Promise<NodeView>;
}

/** What these nodes say is missing until a ring of so many members is whole, or why one didn't answer; null: nothing. */
export async function ringLack(nodes: readonly AskedNode[], memberCount: number): Promise<string | null> {
  try {
    const rings = await Promise.all(nodes.map((node) => node.ring()));
    for (const [i, ring] of rings.entries()) {
      const name = nodes[i]?.name ?? '';
      if (ring.phase !== 'stable' || ring.members.length !== memberCount) return `${name} sees ${ring.members.length} members, ${ring.phase}`;
      if (!ring.isSafe || ring.moves.arcs > 0 || ring.epoch !== rings[0]?.epoch) return `${name} is in epoch ${ring.epoch} and says: ${ring.safety}`;
      if (ring.clusterId !== rings[0].clusterId) return `${name} is in ring ${String(ring.clusterId)}, ${nodes[0]?.name ?? ''} in ${String(rings[0].clusterId)}`;
    }
    const busy = (await Promise.all(nodes.map((node) => node.view()))).find(({ state, progress }) => state !== 'serving' || progress !== null);
    return busy === undefined ? null : `${busy.host}:${busy.port} is ${busy.state}: ${busy.stateDetail}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Waits until nothing lacks; gives the milliseconds that took, or throws with what lacked last. */
export async function untilWhole(lack: () => Promise<string | null>, deadlineMs: number): Promise<number> {
  let last: string | null = null;
  return await until(async () => (last = await lack()) === null, deadlineMs, 'the ring is whole').catch(() => {
    throw new Error(`the ring is not whole after ${deadlineMs} ms: ${String(last)}`);
  });
}
