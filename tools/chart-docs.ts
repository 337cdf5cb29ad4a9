/** The table of a chart's values, from the comments in its values.yaml. */
import { load } from 'js-yaml';

import { code, table } from './markdown.ts';

interface Value {
  readonly path: readonly string[];
  readonly doc: string;
}

/** Markdown. A value is documented by the comment lines directly in front of it; one without is part of the one around it. */
export function valuesTable(yaml: string): string {
  const tree = load(yaml);
  const values = documented(yaml);
  const rows = values.map(({ path, doc }) => {
    const hasParts = values.some((other) => isWithin(other.path, path));
    const value = hasParts ? '' : code(JSON.stringify(valueAt(tree, path)));
    return [code(path.join('.')), value, doc];
  });
  return table(['value', 'default', 'what it does'], rows);
}

function documented(yaml: string): Value[] {
  const values: Value[] = [];
  const above: { readonly indent: number; readonly key: string }[] = [];
  let comment: string[] = [];
  for (const line of yaml.split('\n')) {
    const [, text] = /^\s*# ?(.*)$/.exec(line) ?? [];
    const [, blanks = '', key] = /^( *)([\w-]+):/.exec(line) ?? [];
    if (text !== undefined) comment.push(text);
    else if (key === undefined) comment = [];
    else {
      while ((above.at(-1)?.indent ?? -1) >= blanks.length) above.pop();
      above.push({ indent: blanks.length, key });
      const path = above.map((each) => each.key);
      if (comment.length > 0) values.push({ path, doc: comment.join(' ') });
      comment = [];
    }
  }
  return values;
}

const isWithin = (path: readonly string[], outer: readonly string[]): boolean =>
  path.length > outer.length && outer.every((key, at) => key === path[at]);

function valueAt(tree: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Readonly<Record<string, unknown>>)[key],
    tree,
  );
}
