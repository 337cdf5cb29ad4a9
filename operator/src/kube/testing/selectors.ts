import { isRecord, type Json, type JsonObject } from './field-sets.ts';
import { metadataOf } from './stored-object.ts';

/** Whether an object is one that a list or a watch asked for. Labels: `a=b`, `a==b`, `a!=b`, `a`, `!a`; fields: `a.b=c`. */
export function selectorOf(
  query: URLSearchParams,
  namespace: string | null,
): (object: JsonObject) => boolean {
  const labels = partsOf(query.get('labelSelector')).map(labelTest);
  const fields = partsOf(query.get('fieldSelector')).map(fieldTest);
  return (object) =>
    (namespace === null || metadataOf(object)['namespace'] === namespace) &&
    [...labels, ...fields].every((test) => test(object));
}

function partsOf(selector: string | null): string[] {
  return (selector ?? '').split(',').filter((part) => part !== '');
}

function labelTest(part: string): (object: JsonObject) => boolean {
  const [, name = '', operator = '', value = ''] = /^!?([^=!]+)(==|=|!=)?(.*)$/.exec(part) ?? [];
  const isAbsent = part.startsWith('!');
  return (object) => {
    const { labels } = metadataOf(object);
    const own = isRecord(labels) ? labels[name] : undefined;
    if (operator === '') return (own === undefined) === isAbsent;
    return (own === value) !== (operator === '!=');
  };
}

function fieldTest(part: string): (object: JsonObject) => boolean {
  const [path = '', value = ''] = part.split(/==?/);
  return (object) => {
    let here: Json | undefined = object;
    for (const step of path.split('.')) here = isRecord(here) ? here[step] : undefined;
    return (here ?? '') === value;
  };
}
