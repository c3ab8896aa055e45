import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { parseBearerTokens } from '../../../src/gateway/bearer-tokens.ts';

const LONG = 'abcdefghijklmnop';

function refusal(text: string): string {
  try {
    parseBearerTokens(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'DHT_ERR_SETTING_INVALID' });
    return (error as Error).message;
  }
  return 'not refused';
}

describe('a file of gateway tokens', () => {
  test('gives names and digests, and nothing of the tokens', () => {
    const tokens = parseBearerTokens(`anna:${LONG}\r\n\n  bert : ${LONG}.~+/-_==\n`);
    expect(tokens).toEqual([
      { name: 'anna', digest: createHash('sha256').update(LONG).digest() },
      { name: 'bert', digest: createHash('sha256').update(`${LONG}.~+/-_==`).digest() },
    ]);
    expect(JSON.stringify(tokens)).not.toContain(LONG);
  });

  test('may give one name several tokens', () => {
    expect(parseBearerTokens(`a:${LONG}1\na:${LONG}2`).map(({ name }) => name)).toEqual(['a', 'a']);
  });

  test.each([
    ['', 'no token'],
    ['\n \n', 'no token'],
    [LONG, 'line 1: a line is name:token'],
    [`a:${LONG}\n:${LONG}x`, 'line 2: a line is name:token'],
    [`a b:${LONG}`, 'line 1: a line is name:token'],
    [`a:${LONG.slice(1)}`, 'line 1: the token of a has 15 characters, allowed are 16 to 512'],
    [`a:${'x'.repeat(513)}`, 'has 513 characters'],
    [`a:${LONG} x`, 'characters other than'],
    [`a:${LONG}:x`, 'characters other than'],
    [`a:${LONG}ä`, 'characters other than'],
    [`a:${LONG}\nb:${LONG}`, 'line 2: the token of b is there twice'],
    [Array.from({ length: 1001 }, (_, i) => `a:${LONG}${i}`).join('\n'), 'has 1001 tokens'],
  ])('%j is refused, without showing a token', (text, message) => {
    expect(refusal(text)).toContain(message);
    expect(refusal(text)).not.toContain(LONG.slice(1));
  });
});
