import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { NodeId } from '../../../src/domain/ids.ts';
import { bootOfIncarnation, firstIncarnation } from '../../../src/liveness/incarnation.ts';
import { ACCUSERS_MAX, accuse, accusersNeeded, mergeRumours, suspicionMs, type Rumour } from '../../../src/liveness/suspicion.ts';

const a = 'a'.repeat(32) as NodeId;
const b = 'b'.repeat(32) as NodeId;
const alive: Rumour = { incarnation: 5, state: 'alive', accusers: [] };

const rumour: fc.Arbitrary<Rumour> = fc.record({
  incarnation: fc.integer({ min: 0, max: 3 }),
  state: fc.constantFrom('alive', 'restarting', 'suspect', 'down', 'left'),
  accusers: fc.uniqueArray(fc.constantFrom(a, b), { maxLength: 2 }).map((ids) => [...ids].sort()),
});

describe('suspicion', () => {
  test('the higher incarnation wins, whatever it says', () => {
    const suspect: Rumour = { incarnation: 5, state: 'suspect', accusers: [a] };
    expect(mergeRumours(suspect, { ...alive, incarnation: 6 }).state).toBe('alive');
    expect(mergeRumours(suspect, { ...alive, incarnation: 4 })).toBe(suspect);
  });

  test('at the same incarnation left beats down, suspect, restarting, alive', () => {
    const states = ['alive', 'restarting', 'suspect', 'down', 'left'] as const;
    states.forEach((weak, i) => {
      for (const strong of states.slice(i + 1)) {
        expect(mergeRumours({ ...alive, state: strong }, { ...alive, state: weak }).state).toBe(strong);
        expect(mergeRumours({ ...alive, state: weak }, { ...alive, state: strong }).state).toBe(strong);
      }
    });
  });

  test('accusers of a suspect come together; the same accuser again is nothing new', () => {
    const once = accuse(alive, a);
    expect(once).toEqual({ incarnation: 5, state: 'suspect', accusers: [a] });
    expect(accuse(once, a)).toBe(once);
    expect(accuse(once, b).accusers).toEqual([a, b]);
    const crowd = [...'0123456789'].reduce((r, digit) => accuse(r, digit.repeat(32) as NodeId), alive);
    expect(crowd.accusers).toHaveLength(ACCUSERS_MAX);
  });

  test('a node that is down isn\'t made a suspect again', () => {
    const down: Rumour = { incarnation: 5, state: 'down', accusers: [a, b] };
    expect(accuse(down, 'c'.repeat(32) as NodeId)).toBe(down);
  });

  test('gossip in any order, any number of times, ends in the same rumour', () => {
    fc.assert(fc.property(fc.array(rumour, { minLength: 1, maxLength: 6 }), fc.infiniteStream(fc.nat()), (rumours, draws: Iterator<number>) => {
      const unheard: Rumour = { incarnation: 0, state: 'alive', accusers: [] };
      const merged = rumours.reduce(mergeRumours, unheard);
      const shuffled = [...rumours, ...rumours].map((r) => ({ r, at: Number(draws.next().value) })).sort((x, y) => x.at - y.at).map(({ r }) => r);
      expect(shuffled.reduce(mergeRumours, unheard)).toEqual(merged);
    }));
  });

  test('the suspicion time is 4 s up to ten members and grows with their logarithm', () => {
    expect(suspicionMs(4000, 2)).toBe(4000);
    expect(suspicionMs(4000, 10)).toBe(4000);
    expect(suspicionMs(4000, 1000)).toBeCloseTo(12_000);
  });

  test('two accusers are needed where the ring has two others', () => {
    expect([1, 2, 9].map(accusersNeeded)).toEqual([1, 2, 2]);
  });

  test('a new boot outranks every refutation of the boot before', () => {
    expect(firstIncarnation(3, 0)).toBeGreaterThan(firstIncarnation(2, 0.999) + 900_000);
    expect(bootOfIncarnation(firstIncarnation(7, 0.999) + 12)).toBe(7);
  });
});
