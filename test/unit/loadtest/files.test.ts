/** That scripts, profiles and what is shared with plain Node belong together. */
import { expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { CORRECTNESS } from '../../../loadtest/lib/limits.ts';
import { SCENARIOS, scenarioProfile, type Profile } from '../../../loadtest/lib/profile.ts';

const LOADTEST = path.resolve(import.meta.dirname, '../../../loadtest');
const names = (folder: string): string[] => readdirSync(path.join(LOADTEST, folder)).map((file) => file.replace(/\.[a-z]+$/, '')).sort();
const text = (file: string): string => readFileSync(path.join(LOADTEST, file), 'utf8');
const profiles = names('profiles').map((name): readonly [string, Profile] => [name, JSON.parse(text(`profiles/${name}.json`)) as Profile]);
const shapeOf = (value: unknown): unknown => (Array.isArray(value) ? 'array' : value !== null && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)])) : typeof value);

test('every scenario has a script, and every script a scenario', () => {
  expect(names('scenarios')).toEqual([...SCENARIOS].sort());
});

test('every profile says something about every scenario, in the same fields', () => {
  const shape = shapeOf(profiles[0]?.[1]);
  for (const [, profile] of profiles) expect(shapeOf(profile)).toEqual(shape);
  expect(Object.keys(profiles[0]?.[1].scenarios ?? {}).sort()).toEqual([...SCENARIOS].sort());
});

test('what is shared with plain Node imports nothing of k6, and nothing of Node', () => {
  for (const name of names('lib')) expect([name, /from '(k6|node:|\.\.)/.exec(text(`lib/${name}.ts`))]).toEqual([name, null]);
});

test('no limit on speed stands in a scenario, and every scenario keeps the limits on correctness', () => {
  expect(CORRECTNESS).toEqual({ lost_objects: ['count==0'], corrupt_objects: ['count==0'], stale_reads: ['count==0'] });
  for (const name of SCENARIOS) {
    const script = text(`scenarios/${name}.ts`);
    expect([name, script.includes('runOptions(')]).toEqual([name, true]);
    expect([name, /['`](p\(\d+\)|max|avg|med)<=?\d/.exec(script)]).toEqual([name, null]);
  }
});

test('RATE and DURATION stand in for those of the profile, and for nothing else', () => {
  const profile = profiles[0]?.[1] as Profile;
  expect(scenarioProfile(profile, 'steady', { rate: 3, seconds: null })).toEqual({ ...profile.scenarios.steady, rate: 3 });
  expect(scenarioProfile(profile, 'smoke', { rate: 3, seconds: 4 })).toEqual(profile.scenarios.smoke);
});
