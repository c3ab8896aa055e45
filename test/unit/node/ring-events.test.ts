/** What happened between two looks at the ring, and how it is kept and told. */
import { describe, expect, test } from '@jest/globals';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import { EventLog } from '../../../src/node/event-log.ts';
import type { RingEvent } from '../../../src/node/node-service.ts';
import { NO_LOOK, ringChanges } from '../../../src/node/ring-events.ts';
import { Scenario } from '../../support/scenario.ts';

const NAMES = ['a:1', 'b:1', 'c:1'];
const change = (message: string) => ({ kind: 'down', member: 'a:1', epoch: 1, count: null, message }) as const;

/** Kinds and members in a run in which d joins, b is killed and comes back. */
async function eventsOfRun(): Promise<readonly RingEvent[]> {
  const scenario = new Scenario(ALL_RULES);
  let events: readonly RingEvent[] = [];
  const violations = await scenario.run(async () => {
    const [a, b] = await scenario.found(NAMES);
    if (a === undefined || b === undefined) throw new Error('no nodes');
    scenario.add('d:1', NAMES, 3);
    await scenario.rest();
    await scenario.put(a, 'x', 'one');
    b.kill();
    await scenario.sleep(10_000);
    await scenario.put(a, 'x', 'two');
    b.start();
    await scenario.rest();
    await scenario.sleep(5_000);
    events = scenario.program(a).service.events.after(null);
  });
  expect(violations).toEqual([]);
  return events;
}

describe('the events of a ring', () => {
  test('tell joins, failures, returns and repairs in order, the same in every run', async () => {
    const events = await eventsOfRun();
    const told = events.filter(({ kind }) => kind !== 'layout').map(({ kind, member }) => `${kind}${member === null ? '' : ` ${member}`}`);
    expect(told.slice(0, 3)).toEqual(['joining d:1', 'joined d:1', 'moved']);
    const rest = told.slice(3);
    const ofB = rest.filter((one) => one.endsWith('b:1'));
    expect(ofB).toEqual(['suspected b:1', 'down b:1', 'returned b:1']);
    expect(rest.at(-1)).toBe('repaired');
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    expect(await eventsOfRun()).toEqual(events);
  });

  test('are none while nothing changes, and none for what was there before', () => {
    expect(ringChanges(NO_LOOK, NO_LOOK)).toEqual([]);
    expect(ringChanges({ ...NO_LOOK, unrepaired: 3 }, { ...NO_LOOK, unrepaired: 1 })).toEqual([]);
    expect(ringChanges({ ...NO_LOOK, unrepaired: 3 }, NO_LOOK)).toMatchObject([{ kind: 'repaired', count: 3 }]);
  });
});

describe('the log of events', () => {
  test('gives what came behind an id, and everything kept when the id is not known', () => {
    const log = new EventLog(7);
    for (const message of ['one', 'two', 'three']) log.add(change(message), 0);
    const [first] = log.after(null);
    expect(first).toMatchObject({ id: '7-1', at: '1970-01-01T00:00:00.000Z', message: 'one' });
    expect(log.after('7-2').map(({ message }) => message)).toEqual(['three']);
    expect(log.after('7-3')).toEqual([]);
    expect(log.after('6-2')).toHaveLength(3);
  });

  test('keeps the last 256', () => {
    const log = new EventLog(1);
    for (let i = 0; i < 300; i++) log.add(change(String(i)), 0);
    expect(log.after(null)).toHaveLength(256);
    expect(log.after(null)[0]?.message).toBe('44');
    expect(log.after('1-299').map(({ message }) => message)).toEqual(['299']);
  });

  test('tells listeners of each further event until they end it', () => {
    const log = new EventLog(1);
    const heard: string[] = [];
    log.add(change('before'), 0);
    const end = log.subscribe(({ message }) => heard.push(message));
    log.add(change('now'), 0);
    end();
    log.add(change('after'), 0);
    expect(heard).toEqual(['now']);
  });
});
