// Before the first paint, so that a page never flashes in the other theme. A classic script: modules come too late.
{
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
