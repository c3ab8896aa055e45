/** A ring of real processes on this machine, made for one run. */
import { RealRing, until } from '../../test/support/real-ring.ts';
import { buildOf, machine, type Target } from './target.ts';

const STABLE_MS_MAX = 60_000;
/** Nodes that `scale-out` adds. */
const ADDED = 2;

export async function localTarget(size: number): Promise<Target> {
  const ring = await RealRing.create();
  try {
    const founder = await ring.startNew([]);
    for (let i = 1; i < size; i++) await ring.startNew([founder]);
    await until(async () => (await Promise.all(ring.nodes.map((node) => node.ring()))).every(({ phase, members }) => phase === 'stable' && members.length === size), STABLE_MS_MAX, 'the ring is stable');
    // Not the founder: whom the others know must not matter.
    const victim = ring.nodes.at(-1) ?? founder;
    const build = await buildOf(founder.adminUrl);
    return {
      baseUrls: ring.nodes.map(({ url }) => url), adminUrls: ring.nodes.map(({ adminUrl }) => adminUrl),
      environment: { target: `a ring of ${size} processes on this machine`, replicas: size, machine: machine(), ...build },
      faults: {
        async kill() {
          victim.kill('SIGKILL');
          await victim.exited;
          return `${victim.name} was killed`;
        },
        async bringBack() {
          ring.start(victim, ['--join', founder.name]);
          await ring.untilReady(victim);
          return `${victim.name} is back`;
        },
        async grow() {
          for (let i = 0; i < ADDED; i++) await ring.startNew([founder]);
          return `${ADDED} nodes joined`;
        },
      },
      stop: () => ring.stop(),
    };
  } catch (error) {
    await ring.stop();
    throw error;
  }
}
