/** Ports for rings on loopback: several processes draw them at the same time, and use them later. */
import { afterEach, expect, jest, test } from '@jest/globals';
import { freePorts } from '../../support/real-ring.ts';

afterEach(() => { jest.restoreAllMocks(); });

test('a port that was handed out, and that nobody listens at yet, is not handed out again', async () => {
  const draw = jest.spyOn(Math, 'random').mockReturnValueOnce(0.5);
  const [first] = await freePorts(1);
  draw.mockReturnValueOnce(0.5);
  const [second] = await freePorts(1);
  expect(second).not.toBe(first);
});
