// What the head of a panel writes into the notebook itself, where the front end lets it.

function cellsOf(model) {
  return model.widget_manager?.context?.model?.sharedModel;
}

function holdsPanel(cell, address) {
  const mark = `data-panel="${address}"`;
  return (cell.getOutputs?.() ?? []).some((output) => pageOf(output).includes(mark));
}

function pageOf(output) {
  return [output.data?.["text/html"] ?? ""].flat().join("");
}

// JupyterLab renews a display only in the page whose cell made it. After a reload
// the final picture is written into the notebook here, so that it is saved.
function keepPicture(model, picture) {
  const mark = `data-panel="${model.get("address")}"`;
  for (const cell of cellsOf(model)?.cells ?? []) {
    (cell.getOutputs?.() ?? []).forEach((output, index) => {
      const page = pageOf(output);
      if (page.includes(mark) && page !== picture["text/html"])
        cell.updateOutputs(index, index + 1, [{ ...output, data: picture }]);
    });
  }
}

// Put a cell below that of the panel; say whether it could be.
function insertCell(model, { source, bundle }) {
  const notebook = cellsOf(model);
  if (typeof notebook?.insertCell !== "function") return false;
  const index = notebook.cells.findIndex((cell) => holdsPanel(cell, model.get("address")));
  if (index < 0) return false;
  // Trusted, for this kernel made the output just now: else the whole notebook is not when it is opened again.
  notebook.insertCell(index + 1, {
    cell_type: "code",
    source,
    metadata: { trusted: true },
    execution_count: null,
    outputs: [{ output_type: "display_data", metadata: {}, data: bundle }],
  });
  return true;
}
