import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ProcessRing } from './process-ring.ts';
import { SeedStory, STEP_TITLES } from './seed-steps.ts';

const STEP_MS_MAX = 60_000;

describe('the assignment with real processes, M = 16, one token a node', () => {
  let ring: ProcessRing;
  let story: SeedStory;
  let failed: string | null = null;

  beforeAll(async () => {
    ring = await ProcessRing.open();
    story = new SeedStory(ring);
  });
  afterAll(() => ring.close(), STEP_MS_MAX);

  test.each(STEP_TITLES.map((title, index) => [title, index] as const))('%s', async (title, index) => {
    if (failed !== null) throw new Error(`not tried, because this failed: ${failed}`);
    try {
      await story.steps[index]?.run();
    } catch (error) {
      failed = title;
      throw new Error(`${String(error)}\n${ring.logs()}`, { cause: error });
    }
  }, STEP_MS_MAX);

  test('the command line gets a stored file, and ends with code 4 for an absent one', async () => {
    if (failed !== null) throw new Error(`not tried, because this failed: ${failed}`);
    const stored = ring.temporaryFile('stored');
    const { exitCode, output } = await ring.commandGet(story.files[0] ?? '', stored);
    expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
    expect(readFileSync(stored, 'utf8')).toContain(`the content of ${story.files[0]}`);
    const absent = ring.temporaryFile('absent');
    expect((await ring.commandGet('never-stored.txt', absent)).exitCode).toBe(4);
    expect(existsSync(absent)).toBe(false);
  }, STEP_MS_MAX);
});
