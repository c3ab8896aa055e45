/**
 * Seeds that once failed stay. A seed keeps its meaning only while the faults and the workload it draws stay the same, so
 * the scenario behind an important one is also written down as a test of its own where that is possible.
 */
import { expect, test } from '@jest/globals';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { swarmRun } from '../../src/sim/swarm-run.ts';

const FOUND: readonly (readonly [seed: number, what: string])[] = [
  [183, 'copies of the newest version were counted by ballot'],
  [52181, 'a body expired everywhere before its ACCEPT, and the write went on for ever'],
  [85536, 'the same, with the body on its way from a node that had left the arc'],
  [12215, 'a leaver whose joiner was cut off took itself for the last member and ended'],
  [301019, 'an ex-owner that restarted never released what it still held'],
  [210105, 'clients of a core came in through a node that was not let in yet, each time they tried'],
  [511066, 'a name under the floor of a clock that was far ahead could only be written with unknown outcome'],
  [515674, 'the plan wiped the one voter of a ring of two that a leave left behind'],
  [7018248, 'by the clock of a coordinator that was hours ahead a tombstone was of age, by that of the replica that missed its erasure not yet'],
  [7015083, 'a record that compaction had found rotten waited for the scrub to be healed'],
  [7004405, 'a record rotted last, and the checker was the first to read it'],
  [501479, 'a cut-off sender began a replaced body anew, which takes its time to end'],
];

test.each(FOUND)('seed %i: %s', async (seed) => {
  expect((await swarmRun({ seed, linesMax: 0, rules: ALL_RULES }).run()).violations).toEqual([]);
});
