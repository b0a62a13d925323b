"use strict";
// Interactive figures on request: plotly lies in this page, compressed, and is unpacked at the first click.
(() => {
  const BUTTONS = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];
  const BUTTONS_3D = [["toImage", "zoom2d", "pan2d", "resetScale2d", "orbitRotation", "pan3d", "resetCameraDefault3d"]];
  const canTurn = () => {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl") || canvas.getContext("webgl2"));
  };
  let plotly;
  const unpack = async () => {
    const text = document.getElementById("plotly-bundle").textContent.trim();
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(plain).text();
    document.head.append(script);
  };
  const stacked = (layout, panels) => {
    layout.height = 360 * panels + 90;
    for (let i = 0; i < panels; i++) {
      const n = i ? i + 1 : "";
      const gap = 0.22 / panels;
      const height = [1 - (i + 1) / panels + gap, 1 - i / panels - 0.05 / panels];
      const bar = layout["coloraxis" + n]?.colorbar;
      if (bar) Object.assign(bar, { x: 0.86, y: (height[0] + height[1]) / 2, len: height[1] - height[0] });
      const width = [0, bar ? 0.85 : 1];
      if (layout["scene" + n]) {
        layout["scene" + n].domain = { x: [0, 1], y: height };
        const title = layout.annotations.find((text) => text.name === "scene" + n);
        if (title) Object.assign(title, { x: 0, y: height[1] });
      } else {
        layout["xaxis" + n].domain = width;
        layout["yaxis" + n].domain = height;
      }
    }
    layout.legend.y = -70 / layout.height;
    return layout;
  };
  const draw = async (figure, button) => {
    const live = figure.querySelector(".live");
    const poster = figure.querySelector(".poster");
    if (!live.hidden) {
      live.hidden = true;
      poster.hidden = false;
      button.textContent = "Interactive figure";
      return;
    }
    button.disabled = true;
    button.textContent = "Drawing ...";
    try {
      plotly ??= unpack();
      await plotly;
      live.hidden = false;
      poster.hidden = true;
      if (!live.dataset.drawn) {
        const { data, layout, panels, frames } = JSON.parse(figure.querySelector("script").textContent);
        const turns = Object.keys(layout).some((key) => key.startsWith("scene"));
        if (turns && !canTurn()) throw new Error("a surface needs WebGL, which it has not");
        const shown = live.clientWidth < 640 && panels > 1 ? stacked(layout, panels) : layout;
        live.style.height = shown.height + 10 + "px";
        await Plotly.newPlot(live, data, shown, { responsive: true, displaylogo: false, modeBarButtons: turns ? BUTTONS_3D : BUTTONS });
        if (frames) await Plotly.addFrames(live, frames);
        live.dataset.drawn = "yes";
      }
      button.textContent = "Static figure";
    } catch (error) {
      live.hidden = true;
      poster.hidden = false;
      button.textContent = "This browser cannot draw it: " + error.message;
    }
    button.disabled = false;
  };
  for (const figure of document.querySelectorAll("figure[data-figure]")) {
    const button = figure.querySelector("button");
    button.hidden = false;
    button.addEventListener("click", () => draw(figure, button));
  }
  for (const button of document.querySelectorAll("button[data-copies]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const block = document.getElementById(button.dataset.copies);
      getSelection().selectAllChildren(block);
      await navigator.clipboard.writeText(block.textContent).then(() => (button.textContent = "Copied"), () => (button.textContent = "Selected"));
    });
  }
})();
