/** Carries out the faults of a plan that are the network's. */
import { assertNever } from '../domain/assert.ts';
import type { FaultOf } from './fault.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { SimNetwork } from './sim-network.ts';
import type { Simulation } from './simulation.ts';

export type NetworkFault = FaultOf<'partition' | 'partial-partition' | 'one-way-cut' | 'delay-spike' | 'reset' | 'repeat'>;

export interface NetworkFaultsDeps {
  readonly sim: Simulation;
  readonly cluster: SimCluster;
  readonly network: SimNetwork;
  readonly sleep: (delayMs: number) => Promise<unknown>;
}

/** False: there was nobody to do it to. */
export async function disturbNetwork({ sim, cluster, network, sleep }: NetworkFaultsDeps, fault: NetworkFault): Promise<boolean> {
  const names = cluster.nodes().map(({ name }) => name);
  switch (fault.kind) {
    case 'reset': {
      const name = names[fault.victim % names.length];
      if (name !== undefined) network.resetConnections(name);
      return name !== undefined;
    }
    case 'repeat': {
      const name = names[fault.victim % names.length];
      const repeated = name === undefined ? 0 : network.repeat(name, fault.lateMs);
      await sleep(fault.lateMs);
      return repeated > 0;
    }
    case 'delay-spike':
      network.setFaults({ extraDelayMs: fault.delayMs });
      await sleep(fault.durationMs);
      network.setFaults({ extraDelayMs: 0 });
      return true;
    case 'partition':
    case 'partial-partition':
    case 'one-way-cut': {
      const cuts = cutsOf(fault, names);
      for (const [from, to] of cuts) network.cut(from, to);
      sim.note('fault', `cut: ${cuts.map(([from, to]) => `${from}>${to}`).join(' ') || 'nothing'}`);
      await sleep(fault.durationMs);
      for (const [from, to] of cuts) network.heal(from, to);
      return cuts.length > 0;
    }
    default:
      return assertNever(fault);
  }
}

/** Directed links that the fault swallows. */
function cutsOf(fault: FaultOf<'partition' | 'partial-partition' | 'one-way-cut'>, names: readonly string[]): readonly (readonly [string, string])[] {
  switch (fault.kind) {
    case 'one-way-cut': {
      const from = names[fault.from % names.length];
      const to = names[fault.to % names.length];
      return from === undefined || to === undefined || from === to ? [] : [[from, to]];
    }
    case 'partition': {
      const sideOf = (index: number): number => (fault.sides >> index % 16) & 1;
      return names.flatMap((from, i) => names.flatMap((to, j) => (sideOf(i) === sideOf(j) ? [] : [[from, to] as const])));
    }
    case 'partial-partition': {
      // Pairs in one order, so that both directions are cut or neither.
      const bitOf = (i: number, j: number): number => (fault.links >> ((Math.min(i, j) * 7 + Math.max(i, j)) % 30)) & 1;
      return names.flatMap((from, i) => names.flatMap((to, j) => (i === j || bitOf(i, j) === 0 ? [] : [[from, to] as const])));
    }
    default:
      return assertNever(fault);
  }
}
