// A click on a picture opens it by itself, as large as it is; in an SVG the facts of a gate appear under the pointer.
document.addEventListener("DOMContentLoaded", () => {
    for (const picture of document.querySelectorAll("article img")) {
        const link = document.createElement("a");
        link.href = picture.src;
        picture.replaceWith(link);
        link.append(picture);
    }
});
