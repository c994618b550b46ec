/** Families of kernels (the folders of kernels/) that have a colour of their own; the others share one. */
const families = ["matmul", "conv", "attention", "norm", "pointwise", "optim", "loss"] as const;

/** A kernel's family as plots tell it. */
export function familyOf(kernel: string): string {
  const folder = kernel.split("/")[0];
  return (families as readonly string[]).includes(folder) ? folder : "other";
}

/** All families, in the order of the legend. */
export const allFamilies: readonly string[] = [...families, "other"];

/** The families' colours as classes that set `--family`; on light and dark ground. */
export const familyStyle = `
.matmul { --family: light-dark(#7fb2f5, #3f78bd); }
.conv { --family: light-dark(#f6b26b, #b8741f); }
.attention { --family: light-dark(#f28b82, #b44a42); }
.norm { --family: light-dark(#7fd0bd, #2f8573); }
.pointwise { --family: light-dark(#c3a6ea, #7a5bab); }
.optim { --family: light-dark(#d9c66a, #8d7a20); }
.loss { --family: light-dark(#eea6c8, #a8517c); }
.other { --family: light-dark(#bcc4ce, #636d79); }
.scope { --family: light-dark(#e3e7ec, #2a3038); }
`;
