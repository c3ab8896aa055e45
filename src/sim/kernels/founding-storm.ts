/**
 * Founding storm: one seed of the first twenty seconds of three initial nodes that find each other through cuts and losses,
 * while up to two of them lose their disks. However it goes, no two rings may stand on disks at the same time (I2). That a
 * ring which stood on the lost disks alone is founded anew is no harm: no write was ever acknowledged in it.
 */
import { between, chance, pick } from '../sim-random.ts';
import { MembershipKernel } from './membership-kernel.ts';

const STORM_MS = 20_000;
const NAMES = ['localhost:7400', 'localhost:7401', 'localhost:7402'] as const;

export interface FoundingOutcome {
  /** Rings that stood on disks at the same time, at most. */
  readonly rings: number;
  readonly wipes: number;
}

export function runFoundingStorm(seed: number): FoundingOutcome {
  const kernel = new MembershipKernel(seed, {
    ring: { keyBits: 16, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 },
    latencyMs: [0.2, 100], writeMs: [0.2, 200], catchUpMs: [5, 500],
  });
  const { random } = kernel;
  const start = (name: string): void => {
    kernel.start(name, { kind: 'join', seeds: NAMES, initialNames: NAMES, whenMember: 'stay', timeoutMs: null });
  };
  kernel.faults.lossRate = chance(random, 0.5) ? between(random, 0, 0.4) : 0;
  kernel.faults.slowRate = chance(random, 0.5) ? 0.2 : 0;
  let wipes = 0;
  let rings = 0;
  const watch = (): boolean => {
    rings = Math.max(rings, new Set(NAMES.map((name) => kernel.node(name).disk.layout?.clusterId).filter((id) => id !== undefined)).size);
    return false;
  };
  for (const name of NAMES) kernel.at(between(random, 0, 6000), () => { start(name); });
  while (kernel.nowMs < STORM_MS) {
    kernel.run(kernel.nowMs + between(random, 20, 2500), watch);
    const victim = pick(random, NAMES);
    if (chance(random, 0.6)) {
      kernel.cuts.clear();
      for (const other of NAMES) if (other !== victim) kernel.cut(victim, other);
      if (chance(random, 0.2)) kernel.cuts.clear();
    } else if (kernel.node(victim).machine !== null) {
      if (wipes < 2 && chance(random, 0.5)) {
        kernel.wipe(victim);
        wipes += 1;
      } else kernel.crash(victim);
      kernel.at(between(random, 0, 2000), () => { start(victim); });
    }
  }
  return { rings, wipes };
}
