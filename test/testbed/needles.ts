import { SHORTEST_FORM } from './value-forms';
import type { Form } from './value-forms';

const SLOT_BITS = 22;

/** Many texts to look for at once, by how they begin: tens of thousands of them, in a hundred megabytes of histories and logs. */
export class Needles {
  private readonly byBeginning = new Map<string, Form[]>();
  /** Says of most places in a text that no needle begins there. */
  private readonly beginnings = new Uint8Array(1 << SLOT_BITS);

  add(form: Form): void {
    const beginning = form.needle.slice(0, SHORTEST_FORM);
    const known = this.byBeginning.get(beginning);
    if (known) known.push(form);
    else this.byBeginning.set(beginning, [form]);
    let hash = 0;
    for (let at = 0; at < SHORTEST_FORM; at += 1) hash = rolled(hash, beginning.charCodeAt(at));
    this.beginnings[slotOf(hash)] = 1;
  }

  /** What of the values a text holds. */
  formsIn(text: string): Set<string> {
    const found = new Set<string>();
    let hash = 0;
    for (let end = 0; end < text.length; end += 1) {
      hash = rolled(hash, text.charCodeAt(end));
      if (this.beginnings[slotOf(hash)] === 0) continue;
      const start = end + 1 - SHORTEST_FORM;
      for (const { form, needle } of this.byBeginning.get(text.slice(start, end + 1)) ?? []) {
        if (text.startsWith(needle, start)) found.add(form);
      }
    }
    return found;
  }
}

/** A hash of the last six characters: each leaves its 30 bits after five others. */
const rolled = (hash: number, code: number): number => ((hash << 5) ^ code) & 0x3fffffff;

const slotOf = (hash: number): number => (hash ^ (hash >>> 8)) & ((1 << SLOT_BITS) - 1);
