/** The page for people: one document that loads nothing, runs nothing but its own script, and has a place for all it shows. */
import { hash } from 'node:crypto';
import { Script } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import { STATUS_PAGE, STATUS_PAGE_POLICY } from '../../../src/gateway/status-page.ts';
import { STATUS_PAGE_SCRIPT } from '../../../src/gateway/status-page-script.ts';

describe('the status page', () => {
  test('allows its own style and script alone, by the hashes of what stands in it', () => {
    for (const tag of ['style', 'script']) {
      const found = [...STATUS_PAGE.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))];
      expect(found).toHaveLength(1);
      expect(STATUS_PAGE_POLICY).toContain(`${tag}-src 'sha256-${hash('sha256', found[0]?.[1] ?? '', 'base64')}'`);
    }
    expect(STATUS_PAGE_POLICY).toMatch(/^default-src 'none';/);
    expect(STATUS_PAGE_POLICY).not.toContain('unsafe');
    expect(STATUS_PAGE).not.toMatch(/ (?:style|on[a-z]+)=/);
  });

  test('asks nobody but this node', () => {
    expect([...STATUS_PAGE.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, target]) => target).filter((target) => !target?.startsWith('/') && target !== 'data:,')).toEqual([]);
    expect([...STATUS_PAGE.matchAll(/https?:\/\/[^'" ]*/g)].map(([url]) => url).filter((url) => url !== 'http://www.w3.org/2000/svg' && url !== 'http://')).toEqual([]);
  });

  test('sets everything as text, in places that are there', () => {
    expect(() => new Script(STATUS_PAGE_SCRIPT)).not.toThrow();
    expect(STATUS_PAGE_SCRIPT).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|eval/);
    const places = [...STATUS_PAGE_SCRIPT.matchAll(/(?:at|setText)\('([a-z]+)'/g)].map(([, id]) => id ?? '');
    expect(places.length).toBeGreaterThan(20);
    expect(places.filter((id) => !STATUS_PAGE.includes(`id="${id}"`))).toEqual([]);
  });
});
