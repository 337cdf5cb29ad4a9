/** Interfaces as their source text declares them, as values that can be compared. Understands what the API's types are written in. */
import { readFileSync } from 'node:fs';
import ts from 'typescript';

export type Shape =
  | { readonly kind: 'string' | 'number' | 'boolean' | 'unknown' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'list'; readonly items: Shape }
  | { readonly kind: 'map'; readonly values: Shape }
  | { readonly kind: 'object'; readonly fields: Readonly<Record<string, Field>> };

export interface Field {
  readonly shape: Shape;
  readonly isOptional: boolean;
  readonly isNullable: boolean;
}

type Declaration = ts.InterfaceDeclaration | ts.TypeAliasDeclaration;

/** Of the files, which are read as text: nothing is checked. */
export class DeclaredTypes {
  readonly #declarations = new Map<string, Declaration>();
  readonly #lists = new Map<string, readonly string[]>();

  constructor(files: readonly string[]) {
    for (const file of files) {
      const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
      for (const statement of source.statements) this.#add(statement);
    }
  }

  #add(statement: ts.Statement): void {
    if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) {
      this.#declarations.set(statement.name.text, statement);
    }
    if (!ts.isVariableStatement(statement)) return;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (initializer === undefined || !ts.isAsExpression(initializer)) continue;
      if (!ts.isIdentifier(name) || !ts.isArrayLiteralExpression(initializer.expression)) continue;
      const texts = initializer.expression.elements.filter(ts.isStringLiteral);
      this.#lists.set(
        name.text,
        texts.map(({ text }) => text),
      );
    }
  }

  /** Throws where there is no such declaration. */
  named(name: string): Shape {
    const declaration = this.#declarations.get(name);
    if (declaration === undefined) throw new Error(`nothing declares ${name}`);
    return ts.isInterfaceDeclaration(declaration)
      ? this.#object(declaration.members)
      : this.#shape(declaration.type);
  }

  #object(members: ts.NodeArray<ts.TypeElement>): Shape {
    const fields = members.filter(ts.isPropertySignature).map((member) => {
      const name = (member.name as ts.Identifier).text;
      const types = ts.isUnionTypeNode(member.type!) ? [...member.type.types] : [member.type!];
      const rest = types.filter((type) => !isNull(type));
      const field: Field = {
        shape: this.#union(rest),
        isOptional: member.questionToken !== undefined,
        isNullable: rest.length < types.length,
      };
      return [name, field] as const;
    });
    return { kind: 'object', fields: Object.fromEntries(fields) };
  }

  #union(types: readonly ts.TypeNode[]): Shape {
    if (types.length === 1) return this.#shape(types[0]!);
    const choices = types.flatMap((type) =>
      ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal) ? [type.literal.text] : [],
    );
    return choices.length === types.length ? { kind: 'choice', choices } : { kind: 'unknown' };
  }

  #shape(type: ts.TypeNode): Shape {
    switch (type.kind) {
      case ts.SyntaxKind.StringKeyword:
        return { kind: 'string' };
      case ts.SyntaxKind.NumberKeyword:
        return { kind: 'number' };
      case ts.SyntaxKind.BooleanKeyword:
        return { kind: 'boolean' };
      default:
    }
    if (ts.isUnionTypeNode(type)) return this.#union(type.types);
    if (ts.isTypeLiteralNode(type)) return this.#object(type.members);
    if (ts.isTypeOperatorNode(type)) return this.#shape(type.type);
    if (ts.isArrayTypeNode(type)) return { kind: 'list', items: this.#shape(type.elementType) };
    if (ts.isTypeReferenceNode(type)) return this.#reference(type);
    if (ts.isIndexedAccessTypeNode(type)) return this.#listElement(type);
    return { kind: 'unknown' };
  }

  #reference({
    typeName,
    typeArguments = [] as unknown as ts.NodeArray<ts.TypeNode>,
  }: ts.TypeReferenceNode): Shape {
    const name = (typeName as ts.Identifier).text;
    if (name === 'Readonly') return this.#shape(typeArguments[0]!);
    if (name === 'Record') return { kind: 'map', values: this.#shape(typeArguments[1]!) };
    return this.named(name);
  }

  /** `(typeof list)[number]`. */
  #listElement({ objectType }: ts.IndexedAccessTypeNode): Shape {
    const query = ts.isParenthesizedTypeNode(objectType) ? objectType.type : objectType;
    if (!ts.isTypeQueryNode(query)) return { kind: 'unknown' };
    return {
      kind: 'choice',
      choices: this.#lists.get((query.exprName as ts.Identifier).text) ?? [],
    };
  }
}

const isNull = (type: ts.TypeNode): boolean =>
  ts.isLiteralTypeNode(type) && type.literal.kind === ts.SyntaxKind.NullKeyword;
