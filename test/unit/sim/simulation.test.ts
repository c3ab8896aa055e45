import { describe, expect, test } from '@jest/globals';
import { Lifeline } from '../../../src/sim/lifeline.ts';
import { ProcessClock } from '../../../src/sim/process-clock.ts';
import type { SimulationResult } from '../../../src/sim/simulation.ts';
import { Simulation } from '../../../src/sim/simulation.ts';

const OPTIONS = { seed: 1, durationMsMax: 60_000, eventsMax: 100_000, linesMax: 1000 };

function run(seed: number, main: (sim: Simulation) => Promise<void>): Promise<SimulationResult> {
  const sim = new Simulation({ ...OPTIONS, seed });
  return sim.run(() => main(sim));
}

/** Two routines that draw, sleep and write lines: a stand-in for nodes. */
async function chatter(sim: Simulation): Promise<void> {
  const talk = async (who: string): Promise<void> => {
    const random = sim.random.fork(who);
    for (let i = 0; i < 50; i++) {
      await sim.clock.sleep(random.below(20));
      await Promise.resolve();
      sim.note(who, `says ${random.below(100)}`);
    }
  };
  await Promise.all([talk('a'), talk('b')]);
}

describe('Simulation', () => {
  test('gives the same digest and transcript for the same seed', async () => {
    const first = await run(5, chatter);
    const second = await run(5, chatter);
    expect(first.violations).toEqual([]);
    expect(second).toEqual(first);
    expect((await run(6, chatter)).digest).not.toBe(first.digest);
  });

  test('runs events of one instant in the order in which they were scheduled', async () => {
    const seen: number[] = [];
    await run(1, async (sim) => {
      for (let i = 0; i < 100; i++) sim.clock.after(10, () => seen.push(i));
      await sim.clock.sleep(11);
    });
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('drains all microtasks of an event before the next one', async () => {
    const order: string[] = [];
    await run(1, async (sim) => {
      sim.clock.after(5, () => {
        void (async () => {
          for (let i = 0; i < 1000; i++) await Promise.resolve();
          order.push('end of the first chain');
        })();
      });
      sim.clock.after(5, () => order.push('second event'));
      await sim.clock.sleep(6);
    });
    expect(order).toEqual(['end of the first chain', 'second event']);
  });

  test('fails a run whose main routine waits for something that never comes', async () => {
    const result = await run(1, () => new Promise(() => {}));
    expect(result.violations).toEqual([expect.stringContaining('no event is left')]);
  });

  test('fails a run that throws in an event, that lasts too long, or that runs in circles', async () => {
    const thrown = await run(1, async (sim) => {
      sim.clock.after(1, () => {
        throw new Error('boom');
      });
      await sim.clock.sleep(10);
    });
    expect(thrown.violations).toEqual([expect.stringContaining('boom')]);
    const long = await run(1, (sim) => sim.clock.sleep(60_001));
    expect(long.violations).toEqual([expect.stringContaining('60 virtual seconds')]);
    const circles = await run(1, async (sim) => {
      for (;;) await sim.clock.sleep(0);
    });
    expect(circles.violations).toEqual([expect.stringContaining('100000 events')]);
  });

  test('waits for a condition in virtual time and gives up at the deadline', async () => {
    await run(1, async (sim) => {
      let isReady = false;
      sim.clock.after(300, () => {
        isReady = true;
      });
      expect(await sim.waitUntil(() => isReady, 1000, 50)).toBe(true);
      expect(sim.clock.nowMs()).toBe(300);
      expect(await sim.waitUntil(() => false, 1000, 50)).toBe(false);
    });
  });
});

describe('Lifeline', () => {
  test('a timer of a dead process never fires, and none can be set', async () => {
    const fired: string[] = [];
    await run(1, async (sim) => {
      const lifeline = new Lifeline(sim.clock);
      const clock = new ProcessClock(sim.clock, lifeline, { skewMs: 0 });
      clock.after(10, () => fired.push('alive'));
      clock.after(30, () => fired.push('dead'));
      await sim.clock.sleep(20);
      lifeline.cut();
      clock.after(1, () => fired.push('set when dead'));
      await sim.clock.sleep(100);
    });
    expect(fired).toEqual(['alive']);
  });

  test('a paused process gets everything late and in order', async () => {
    const fired: [string, number][] = [];
    await run(1, async (sim) => {
      const lifeline = new Lifeline(sim.clock);
      const clock = new ProcessClock(sim.clock, lifeline, { skewMs: 0 });
      clock.after(10, () => fired.push(['first', clock.monotonicNow()]));
      clock.after(20, () => fired.push(['second', clock.monotonicNow()]));
      lifeline.pause();
      await sim.clock.sleep(500);
      expect(fired).toEqual([]);
      lifeline.resume();
      await sim.clock.sleep(1);
    });
    expect(fired).toEqual([['first', 500], ['second', 500]]);
  });

  test('an answer that arrives after death is never delivered', async () => {
    const events: string[] = [];
    await run(1, async (sim) => {
      const lifeline = new Lifeline(sim.clock);
      void lifeline.guard('disk operation', () => sim.clock.sleep(10)).then(() => events.push('answered'));
      await sim.clock.sleep(5);
      expect(lifeline.leftovers()).toEqual(['1 x disk operation']);
      lifeline.cut();
      await sim.clock.sleep(100);
    });
    expect(events).toEqual([]);
  });

  test('counts what is open, and nothing once it was cancelled or ran', async () => {
    await run(1, async (sim) => {
      const lifeline = new Lifeline(sim.clock);
      const clock = new ProcessClock(sim.clock, lifeline, { skewMs: 0 });
      const timer = clock.after(10, () => {});
      clock.after(5, () => {});
      expect(lifeline.leftovers()).toEqual(['2 x timer']);
      await sim.clock.sleep(6);
      timer.cancel();
      timer.cancel();
      expect(lifeline.leftovers()).toEqual([]);
    });
  });
});
